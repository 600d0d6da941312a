/** weft's traffic through the FORWARD chain that Docker closes, for each backend of iptables. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Host, openHost } from './host.ts';

let host: Host;
beforeEach(async () => {
  host = await openHost();
});
afterEach(() => host.close());

const programs = ['iptables', 'ip6tables'];
const ours = [
  '-A FORWARD -i weft+ -m comment --comment weft -j ACCEPT',
  '-A FORWARD -o weft+ -m comment --comment weft -j ACCEPT',
];
const user = '-A FORWARD -j DOCKER-USER';
const isolation = '-A FORWARD -j DOCKER-ISOLATION-STAGE-1';

/** As dockerd leaves it. */
const docker = (iptables: string) =>
  host.run(`${iptables} -P FORWARD DROP
    ${iptables} -N DOCKER-USER
    ${iptables} -N DOCKER-ISOLATION-STAGE-1
    ${iptables} -A FORWARD -j DOCKER-USER
    ${iptables} -A FORWARD -j DOCKER-ISOLATION-STAGE-1`);

const chain = (iptables: string) => host.run(`${iptables} -S FORWARD`).trim().split('\n').slice(1);

describe.each(['legacy', 'nft'])('%s', (backend) => {
  test.each(programs)('%s: the rules come right behind DOCKER-USER, once, and go', async (program) => {
    const iptables = `${program}-${backend}`;
    docker(iptables);
    expect(await host.kernel.ensureForwardAccept()).toEqual({ changed: true });
    expect(chain(iptables)).toEqual([user, ...ours, isolation]);
    expect(await host.kernel.ensureForwardAccept()).toEqual({ changed: false });
    await host.kernel.removeForwardAccept();
    expect(chain(iptables)).toEqual([user, isolation]);
  });

  test('rules that were there before Docker are moved behind DOCKER-USER', async () => {
    const iptables = `iptables-${backend}`;
    host.run(`${iptables} -P FORWARD DROP`);
    await host.kernel.ensureForwardAccept();
    expect(chain(iptables)).toEqual(ours);
    host.run(
      `${iptables} -N DOCKER-USER; ${iptables} -I FORWARD -j DOCKER-USER; ${iptables} -A FORWARD -o weft+ -j DROP`,
    );
    expect(await host.kernel.ensureForwardAccept()).toEqual({ changed: false });
    host.run(`${iptables} -D FORWARD -j DOCKER-USER; ${iptables} -A FORWARD -j DOCKER-USER`);
    expect(await host.kernel.ensureForwardAccept()).toEqual({ changed: true });
    expect(chain(iptables)).toEqual(['-A FORWARD -o weft+ -j DROP', user, ...ours]);
  });

  test('a rule that was deleted, or doubled, is put right', async () => {
    const iptables = `iptables-${backend}`;
    docker(iptables);
    await host.kernel.ensureForwardAccept();
    host.run(`${iptables} -D FORWARD 2`);
    expect(await host.kernel.ensureForwardAccept()).toEqual({ changed: true });
    host.run(`${iptables} -A FORWARD -i weft+ -m comment --comment weft -j ACCEPT`);
    expect(await host.kernel.ensureForwardAccept()).toEqual({ changed: true });
    expect(chain(iptables)).toEqual([user, ...ours, isolation]);
  });

  test('the other backend’s tables do not come into being', async () => {
    docker(`iptables-${backend}`);
    await host.kernel.ensureForwardAccept();
    const inUse = {
      legacy: host.run('cat /proc/thread-self/net/ip_tables_names || true').includes('filter'),
      nft: host.run('nft list tables').includes('table ip filter'),
    };
    expect(inUse).toEqual({ legacy: backend === 'legacy', nft: backend === 'nft' });
  });
});

test('both backends in use are both opened', async () => {
  docker('iptables-legacy');
  docker('iptables-nft');
  expect(await host.kernel.ensureForwardAccept()).toEqual({ changed: true });
  expect(chain('iptables-legacy')).toEqual([user, ...ours, isolation]);
  expect(chain('iptables-nft')).toEqual([user, ...ours, isolation]);
});

test('nothing is made where nobody filters', async () => {
  expect(await host.kernel.ensureForwardAccept()).toEqual({ changed: false });
  expect(host.run('nft list ruleset')).toBe('');
});
