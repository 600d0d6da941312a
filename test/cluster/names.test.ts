/** Containers find each other by name, from host to host, with nothing set in Docker. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Host } from '../lab/host.ts';
import { waitFor } from '../lab/wait.ts';
import {
  addressesOf,
  createNetwork,
  nothingIsLeft,
  pluginName,
  removeNetwork,
  startContainer,
} from './cluster.ts';
import { lookUp } from './look-up.ts';
import { serveDns } from './servers.ts';
import { everyDocker, testCluster } from './test-lab.ts';

const fabrics = [
  { fabric: 'routed', network: 'blue' },
  { fabric: 'vxlan', network: 'red' },
] as const;

const lab = testCluster({ name: 'byname', hosts: everyDocker });

const known = (name: string): Host => lab.host(name);

/** Waits until it is so; hosts hear of each other's containers a moment after these have started. */
async function finds(
  host: Host,
  container: string,
  name: string,
  expected: readonly string[] | undefined,
  type?: string,
): Promise<void> {
  await waitFor(`${container} on ${host.name} finds ${name}: ${expected}`, async () => {
    const found = await lookUp(host, container, name, type);
    expect(found).toEqual(expected?.toSorted());
    return true;
  });
}

function reverse(address: string): string {
  return `${address.split('.').toReversed().join('.')}.in-addr.arpa`;
}

describe.each(fabrics)('on a $fabric network', ({ fabric, network }) => {
  const subnets = ['--ipv6', '--subnet', '10.77.0.0/16', '--subnet', 'fd77::/64'];
  let web: string[];

  beforeAll(async () => {
    for (const host of lab.hosts) {
      await createNetwork(host, network, [...subnets, '-o', `weft.fabric=${fabric}`]);
      await startContainer(host, network, 'asker');
    }
    await startContainer(known('h2'), network, 'web', ['--network-alias', 'www', '--network-alias', 'Shop']);
    web = await addressesOf(known('h2'), network, 'web');
  });

  test.each(everyDocker)('a container of $name ($docker) reaches one by its name', async ({ name }) => {
    const host = known(name);
    await finds(host, 'asker', 'web', web.slice(0, 1));
    for (const family of ['-4', '-6']) await host.docker(['exec', 'asker', 'ping', family, '-c', '1', 'web']);
  });

  test('the first thing that a container asks is answered', async () => {
    for (const host of [known('h1'), known('h3')]) {
      for (let round = 0; round < 5; round += 1) {
        const ping = ['ping', '-4', '-c', '1', 'web'];
        await host.docker(['run', '--rm', '--net', network, 'weft-lab/tools:1', ...ping]);
      }
    }
  });

  test('all its names lead to it, on its own host as on the others', async () => {
    const id = await known('h2').docker(['inspect', '--format', '{{.Id}}', 'web']);
    const [address = '', address6 = ''] = web;
    for (const host of lab.hosts) {
      for (const name of ['web', 'www', 'shop', id.slice(0, 12), `web.${network}`, `WWW.${network}`]) {
        await finds(host, 'asker', name, [address]);
        await finds(host, 'asker', name, [address6], 'aaaa');
      }
      await finds(host, 'asker', reverse(address), [`web.${network}`], 'ptr');
      await finds(host, 'asker', 'web', [], 'mx');
    }
  });

  test('a name that many have leads to all of them, until they are gone', async () => {
    const addresses: string[] = [];
    for (const host of lab.hosts) {
      addresses.push(await startContainer(host, network, 'copy', ['--network-alias', 'copies']));
    }
    for (const host of lab.hosts) await finds(host, 'asker', 'copies', addresses);
    await known('h2').docker(['rm', '--force', 'copy']);
    for (const host of lab.hosts) await finds(host, 'asker', 'copies', addresses.toSpliced(1, 1));
    for (const name of ['h1', 'h3']) await known(name).docker(['rm', '--force', 'copy']);
    for (const host of lab.hosts) await finds(host, 'asker', 'copies', undefined);
  });

  test('a container that is renamed, stopped or disconnected is no longer found by that name', async () => {
    const [asker, host] = [known('h1'), known('h3')];
    const address = await startContainer(host, network, 'old');
    await finds(asker, 'asker', 'old', [address]);
    await host.docker(['rename', 'old', 'new']);
    await finds(asker, 'asker', 'new', [address]);
    await finds(asker, 'asker', 'old', undefined);
    await host.docker(['stop', 'new']);
    await finds(asker, 'asker', 'new', undefined);
    await host.docker(['start', 'new']);
    await finds(asker, 'asker', 'new', (await addressesOf(host, network, 'new')).slice(0, 1));
    await host.docker(['network', 'disconnect', network, 'new']);
    await finds(asker, 'asker', 'new', undefined);
    await host.docker(['network', 'connect', '--alias', 'again', network, 'new']);
    await finds(asker, 'asker', 'again', (await addressesOf(host, network, 'new')).slice(0, 1));
    await host.docker(['rm', '--force', 'new']);
  });

  test('names stay inside their network', async () => {
    for (const name of ['h1', 'h3']) {
      await createNetwork(known(name), 'other', ['--subnet', '10.79.0.0/24']);
    }
    await startContainer(known('h3'), 'other', 'hidden');
    await startContainer(known('h1'), 'other', 'stranger');
    const [hidden = ''] = await addressesOf(known('h3'), 'other', 'hidden');
    await finds(known('h1'), 'stranger', 'hidden', [hidden]);
    expect(await lookUp(known('h1'), 'stranger', 'web')).toBeUndefined();
    expect(await lookUp(known('h1'), 'stranger', reverse(web[0] ?? ''), 'ptr')).toBeUndefined();
    expect(await lookUp(known('h1'), 'asker', 'hidden')).toBeUndefined();
    await known('h1').docker(['network', 'connect', network, 'stranger']);
    await finds(known('h1'), 'stranger', 'web', web.slice(0, 1));
    await finds(known('h1'), 'stranger', 'hidden', [hidden]);
    await known('h1').docker(['rm', '--force', 'stranger']);
    await known('h3').docker(['rm', '--force', 'hidden']);
    for (const name of ['h1', 'h3']) await known(name).docker(['network', 'rm', 'other']);
  });

  test('an internal network has names, too', async () => {
    for (const name of ['h1', 'h3']) {
      await createNetwork(known(name), 'inner', ['--internal', '--subnet', '10.80.0.0/24']);
    }
    await startContainer(known('h3'), 'inner', 'vault');
    await startContainer(known('h1'), 'inner', 'keeper');
    await finds(known('h1'), 'keeper', 'vault', await addressesOf(known('h3'), 'inner', 'vault'));
    await known('h1').docker(['rm', '--force', 'keeper']);
    await known('h3').docker(['rm', '--force', 'vault']);
    for (const name of ['h1', 'h3']) await known(name).docker(['network', 'rm', 'inner']);
  });

  test.each(everyDocker)('$name ($docker) asks its name servers for the rest', async ({ name }) => {
    const host = known(name);
    const server = known('h2');
    const end = await serveDns(server, '192.0.2.7');
    const dns = ['--dns', server.address];
    try {
      await startContainer(host, network, 'user', dns);
      await finds(host, 'user', 'example.com', ['192.0.2.7']);
      await finds(host, 'user', 'web', web.slice(0, 1));
      await host.docker(['rm', '--force', 'user']);
    } finally {
      await end();
    }
  });

  test('while weft is away, Docker answers for its host; then names of all are back', async () => {
    const host = known('h3');
    const [asker = ''] = await addressesOf(host, network, 'asker');
    await host.docker(['plugin', 'disable', '--force', pluginName]);
    await finds(host, 'asker', 'asker', [asker]);
    expect(await lookUp(host, 'asker', 'web')).toBeUndefined();
    await host.docker(['plugin', 'enable', pluginName]);
    await finds(host, 'asker', 'web', web.slice(0, 1));
  });

  test('leaves nothing behind', async () => {
    await known('h2').docker(['rm', '--force', 'web']);
    await removeNetwork(lab.hosts, network, ['asker']);
    await nothingIsLeft(lab);
  });
});
