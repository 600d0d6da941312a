/**
 * The main job, shown: two Docker hosts, one network of each fabric over both, containers that reach each
 * other. `--keep` leaves the hosts up. The last line is `demo: ok`, or `demo: failed: ...` with exit code 1.
 */
import { explain } from '../../src/errors.ts';
import { clusterUp, createNetwork, pings, startContainer, waitForNetwork } from '../cluster/cluster.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { toolsImage } from '../lab/tools-image.ts';
import { waitFor } from '../lab/wait.ts';

const labName = 'demo';
const keep = process.argv.includes('--keep');
const startMs = performance.now();

const networks = [
  { fabric: 'routed', name: 'blue', subnet: '10.77.0.0/16' },
  { fabric: 'vxlan', name: 'red', subnet: '10.78.0.0/16' },
] as const;

function say(line: string): void {
  const seconds = Math.round((performance.now() - startMs) / 1000);
  console.log(`[${String(seconds).padStart(3)} s] ${line}`);
}

try {
  await demonstrate();
  console.log('demo: ok');
} catch (error) {
  console.log(`demo: failed: ${explain(error)}`);
  process.exitCode = 1;
}

async function demonstrate(): Promise<void> {
  say('building the plugin, and two Docker hosts with it (the first time takes minutes)');
  const lab = await clusterUp(
    {
      name: labName,
      hosts: [
        { name: 'h1', docker: '28.5' },
        { name: 'h2', docker: '28.5' },
      ],
      settings: { WEFT_REPLICATE: 'on' },
    },
    { keep },
  );
  try {
    await connect(lab);
  } finally {
    if (!keep) {
      say('cleaning up');
      await lab.down();
    }
  }
  if (keep) explainKept();
}

async function connect(lab: Lab): Promise<void> {
  const [h1, h2] = [lab.host('h1'), lab.host('h2')];
  say(`h1 (${h1.address}) and h2 (${h2.address}) run dockerd with the plugin weft-plugin, etcd is at hand`);
  const rawGbps = await throughput(h1, h2, { net: 'host', address: h2.address });
  say(`TCP from host to host: ${rawGbps.toFixed(1)} Gbit/s`);

  const places: Place[] = [];
  for (const { fabric, name, subnet } of networks) {
    const options = ['--subnet', subnet, '-o', `weft.fabric=${fabric}`];
    say(`h1# docker network create --driver weft --ipam-driver weft-ipam ${options.join(' ')} ${name}`);
    await createNetwork(h1, name, options);
    await waitForNetwork(h2, name);
    const [web, db] = [
      await startContainer(h1, name, `web-${name}`),
      await startContainer(h2, name, `db-${name}`),
    ];
    await pings(h1, `web-${name}`, db);
    await pings(h2, `db-${name}`, web);
    say(`${name}: web-${name} (${web}, on h1) and db-${name} (${db}, on h2) ping each other`);
    const gbps = await throughput(h1, h2, { net: name });
    const share = Math.round((100 * gbps) / rawGbps);
    say(`${name}: TCP from container to container: ${gbps.toFixed(1)} Gbit/s, ${share} % of host to host`);
    places.push({ name, fabric, subnet, web, db });
  }
  console.log(picture(h1, h2, places));
}

/** iperf3 for 3 s; on networks the server's address is found out, with the hosts' network it is given. */
async function throughput(
  from: Host,
  to: Host,
  { net, address }: { readonly net: string; readonly address?: string },
): Promise<number> {
  const container = ['--net', net, '--cap-add', 'NET_ADMIN', '--stop-signal', 'KILL', toolsImage];
  const server = (await to.docker(['run', '--detach', ...container, 'iperf3', '--server'])).trim();
  try {
    const format = `{{(index .NetworkSettings.Networks "${net}").IPAddress}}`;
    const target = address ?? (await to.docker(['inspect', '--format', format, server])).trim();
    let report = '';
    await waitFor(`an iperf3 run over network ${net}`, async () => {
      const client = ['iperf3', '--client', target, '--congestion', 'cubic', '--time', '3', '--json'];
      report = await from.docker(['run', '--rm', ...container, ...client]);
      return true;
    });
    const { end }: { end?: { sum_received?: { bits_per_second?: number } } } = JSON.parse(report);
    return (end?.sum_received?.bits_per_second ?? Number.NaN) / 1e9;
  } finally {
    await to.docker(['rm', '--force', server]);
  }
}

interface Place {
  readonly name: string;
  readonly fabric: string;
  readonly subnet: string;
  readonly web: string;
  readonly db: string;
}

function picture(h1: Host, h2: Host, places: readonly Place[]): string {
  const width = 34;
  const row = (left: string, link: string, right: string) =>
    `  │ ${left.padEnd(width)} │${link}│ ${right.padEnd(width)} │`;
  const gap = ' '.repeat(9);
  const frame = (corner: string, end: string) => corner + '─'.repeat(width + 2) + end;
  return [
    '',
    `  ${frame('┌', '┐')}${gap}${frame('┌', '┐')}`,
    row(`h1  ${h1.address}`, '═════════', `h2  ${h2.address}`),
    ...places.flatMap(({ name, fabric, subnet, web, db }) => [
      row('', gap, ''),
      row(`${name}  ${subnet}  (${fabric})`, gap, `${name}  ${subnet}  (${fabric})`),
      row(`  web-${name}  ${web}`, ' ◄─────► ', `  db-${name}  ${db}`),
    ]),
    `  ${frame('└', '┘')}${gap}${frame('└', '┘')}`,
    '',
  ].join('\n');
}

function explainKept(): void {
  console.log(`The hosts stay up. To play with them:

  npm run lab -- --lab ${labName} docker h1 ps
  npm run lab -- --lab ${labName} docker h1 exec web-blue ip route
  npm run lab -- --lab ${labName} exec h1 -- ip route show proto 119
  npm run lab -- --lab ${labName} shell h2
  npm run lab -- --lab ${labName} down
`);
}
