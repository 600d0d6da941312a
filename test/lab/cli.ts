/** `npm run lab`: a lab to work in by hand. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { explain } from '../../src/errors.ts';
import { projectFolder } from './folders.ts';
import { Lab } from './lab.ts';
import { labNames } from './record.ts';
import { remainsOf, removeLab } from './removal.ts';
import { type DockerVersion, dockerVersions } from './rootfs.ts';
import { say } from './run.ts';

const usage = `Real Docker hosts and etcd, in namespaces of this machine.

npm run lab -- [--lab NAME] COMMAND

  up [--hosts h1=28.5,h2=26.1,h3=20.10] [--etcd 1|3] [--mtu 1500] [--segments 1|2] [--plugin]
                          make the lab; --plugin installs plugin/build on all hosts
  down                    take it away, with all it has made
  status                  hosts, etcd members and their addresses
  exec HOST -- COMMAND    run a command on a host
  docker HOST ARGS        run docker on a host
  shell HOST              a shell on a host
  etcdctl ARGS            run etcdctl
  cut NAME | heal NAME    drop all frames of a host or etcd member, in silence; and no more
  guard HOST | unguard HOST
                          drop what a host sends with addresses that are not its own; and no more
  set-mtu HOST MTU        of the host's uplink
  power-cut HOST          kill everything on a host at once
  boot HOST               switch it on again
  start-etcd NAME | kill-etcd NAME | freeze-etcd NAME | thaw-etcd NAME

Logs and disks are in /var/tmp/weft-lab/NAME. The default NAME is dev.`;

async function up(name: string, args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      hosts: { type: 'string', default: 'h1=28.5,h2=26.1,h3=20.10' },
      etcd: { type: 'string', default: '1' },
      mtu: { type: 'string', default: '1500' },
      segments: { type: 'string', default: '1' },
      plugin: { type: 'boolean', default: false },
    },
  });
  const lab = await Lab.up(
    {
      name,
      hosts: values.hosts.split(',').map((host) => {
        const [hostName = '', docker = ''] = host.split('=');
        return { name: hostName, docker: dockerVersion(docker) };
      }),
      etcd: { members: values.etcd === '3' ? 3 : 1 },
      segments: values.segments === '2' ? 2 : 1,
      mtu: Number(values.mtu),
    },
    { keep: true },
  );
  if (values.plugin) {
    const settings = { WEFT_ETCD_ENDPOINTS: lab.etcd.endpoints };
    const build = join(projectFolder, 'plugin/build');
    await Promise.all(lab.hosts.map((host) => host.installPlugin(build, undefined, settings)));
  }
  await status(name);
}

function dockerVersion(text: string): DockerVersion {
  const version = dockerVersions.find((known) => known === text);
  if (version === undefined)
    throw new Error(`there is no Docker ${text}; there are: ${dockerVersions.join(', ')}`);
  return version;
}

async function status(name: string): Promise<void> {
  const lab = await Lab.find(name);
  for (const host of lab.hosts) {
    const docker = host.isUp ? await dockerState(lab, host.name) : 'switched off';
    console.log([host.name, host.address, host.address6, docker].join('  '));
  }
  for (const member of lab.etcd.members) {
    const health = await member.healthy(1_000).then(
      () => 'healthy',
      () => 'does not serve',
    );
    console.log([member.port.name, member.url, health].join('  '));
  }
}

async function dockerState(lab: Lab, host: string): Promise<string> {
  const version = lab.host(host).docker(['version', '--format={{.Server.Version}}'], { timeoutMs: 5_000 });
  return version.then(
    (text) => `Docker ${text}`,
    () => 'dockerd does not answer',
  );
}

/** Answers the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const [name, [command = 'help', ...rest]] =
    args[0] === '--lab' ? [args[1] ?? '', args.slice(2)] : ['dev', args];
  const [target = '', ...words] = rest;
  const host = async () => (await Lab.find(name)).host(target);
  const member = async () => (await Lab.find(name)).etcd.member(target);
  switch (command) {
    case 'up':
      await up(name, rest);
      return 0;
    case 'down':
      if ((await remainsOf(name)).length === 0) say(`there is no lab ${name}`);
      await removeLab(name);
      return 0;
    case 'status':
      for (const lab of await labNames()) if (lab !== name) say(`there is also a lab ${lab}`);
      await status(name);
      return 0;
    case 'exec':
      return (await host()).execAttached(words[0] === '--' ? words.slice(1) : words);
    case 'docker':
      return (await host()).execAttached(['docker', ...words]);
    case 'shell':
      return (await host()).execAttached(['bash', '--login']);
    case 'etcdctl':
      console.log(await (await Lab.find(name)).etcd.ctl(rest));
      return 0;
    case 'cut':
      await (await Lab.find(name)).cutOff(target);
      return 0;
    case 'heal':
      await (await Lab.find(name)).heal(target);
      return 0;
    case 'guard':
      await (await Lab.find(name)).guard(target);
      return 0;
    case 'unguard':
      await (await Lab.find(name)).unguard(target);
      return 0;
    case 'set-mtu':
      await (await Lab.find(name)).setMtu(target, Number(words[0]));
      return 0;
    case 'power-cut':
      await (await host()).powerCut();
      return 0;
    case 'boot':
      await (await host()).boot();
      return 0;
    case 'start-etcd':
      await (await member()).start();
      return 0;
    case 'kill-etcd':
      await (await member()).kill();
      return 0;
    case 'freeze-etcd':
      await (await member()).freeze();
      return 0;
    case 'thaw-etcd':
      await (await member()).thaw();
      return 0;
    case 'help':
    case '--help':
      console.log(usage);
      return 0;
    default:
      throw new Error(`there is no command ${command}; see npm run lab -- --help`);
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(explain(error));
  process.exitCode = 1;
}
