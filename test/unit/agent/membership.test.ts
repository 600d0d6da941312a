import { beforeEach, describe, expect, test } from 'vitest';
import type { JoinRequest } from '../../../src/agent/agreement.ts';
import { Membership } from '../../../src/agent/membership.ts';
import { records } from '../../../src/model/records.ts';
import { keysBelow } from '../../../src/store/keys.ts';
import { FakeStore } from '../../fakes/store.ts';

const keys = keysBelow('/weft/v1/');
const cidr = '10.77.0.0/16';

let store: FakeStore;
let h1: Membership;
let h2: Membership;

beforeEach(async () => {
  store = new FakeStore();
  h1 = new Membership(store, keys, 'h1');
  h2 = new Membership(store, keys, 'h2');
  await makePool(cidr);
});

async function makePool(pool: string): Promise<void> {
  const value = records.pool.render({ v: 1, cidr: pool, reserved: [] });
  await store.transact({ conditions: [], writes: [{ put: keys.pool(pool), value }] });
}

function request(changes: Partial<JoinRequest> = {}): JoinRequest {
  return {
    key: 'blue',
    dockerNetwork: 'd1',
    options: { network: 'blue' },
    internal: false,
    pools: [cidr],
    own: [],
    ...changes,
  };
}

const poolNetwork = async (pool = cidr) => {
  const entry = await store.get(keys.pool(pool));
  return entry && records.pool.parse(entry.value).network;
};

describe('joining', () => {
  test('makes the network for the first host and lets the second agree', async () => {
    const first = await h1.join(request());
    expect(first).toMatchObject({ key: 'blue', fabric: 'routed', pools: [cidr] });
    expect(await h2.join(request())).toEqual(first);
    expect(await poolNetwork()).toBe('blue');
  });

  test('takes over what the first host decided', async () => {
    await h1.join(request({ options: { network: 'blue', fabric: 'vxlan', mtu: 1400 } }));
    expect(await h2.join(request())).toMatchObject({ fabric: 'vxlan', mtu: 1400 });
  });

  test('keeps what was asked for of broadcast', async () => {
    const options = { network: 'blue', fabric: 'vxlan', broadcast: true } as const;
    expect(await h1.join(request({ options }))).toMatchObject({ broadcast: true });
    expect(await h2.join(request())).toMatchObject({ broadcast: true });
  });

  test('keeps what was asked for of encapsulation, and nothing where that is the default', async () => {
    const options = { network: 'blue', encap: 'never' } as const;
    expect(await h1.join(request({ options }))).toMatchObject({ encap: 'never' });
    expect(await h2.join(request())).toMatchObject({ encap: 'never' });
    await makePool('10.78.0.0/16');
    const red = request({ key: 'red', options: { network: 'red', encap: 'auto' }, pools: ['10.78.0.0/16'] });
    expect(await h1.join(red)).not.toHaveProperty('encap');
  });

  test.each([
    [{ network: 'blue', fabric: 'vxlan', encap: 'never' }, 'weft.encap=never means nothing to fabric vxlan'],
    [{ network: 'blue', broadcast: true }, 'weft.broadcast=on means nothing to fabric routed'],
    [{ network: 'blue', fabric: 'vxlan', vni: 0x56_ff_ff }, 'is what routed networks encapsulate with'],
  ] as const)('refuses %j', async (options, sentence) => {
    await expect(h1.join(request({ options }))).rejects.toThrow(sentence);
  });

  test('gives each encapsulated network a VNI of its own', async () => {
    await makePool('10.78.0.0/16');
    const options = { fabric: 'vxlan' };
    const blue = await h1.join(request({ options: { ...options, network: 'blue' } }));
    const red = request({ key: 'red', options: { ...options, network: 'red' }, pools: ['10.78.0.0/16'] });
    expect((await h2.join(red)).vni).not.toBe(blue.vni);
  });

  test.each([
    [{ options: { network: 'blue', fabric: 'vxlan' } }, 'weft.fabric=routed, not vxlan'],
    [{ options: { network: 'blue', mtu: 1400 } }, 'weft.mtu=unset, not 1400'],
    [{ options: { network: 'blue', encap: 'always' as const } }, 'weft.encap=auto, not always'],
    [{ options: { network: 'blue', broadcast: true } }, 'weft.broadcast=off, not on'],
    [{ pools: ['10.78.0.0/16'] }, 'subnet 10.77.0.0/16, not 10.78.0.0/16'],
    [{ internal: true }, 'no --internal'],
  ])('with %j is refused by what the network has', async (changes, sentence) => {
    await h1.join(request());
    await makePool('10.78.0.0/16');
    await expect(h2.join(request(changes))).rejects.toThrow(sentence);
  });

  test.each([
    [['fd77::/64'], [cidr, 'fd77::/64'], '--ipv6 --ipv4=false --subnet fd77::/64'],
    [[cidr, 'fd77::/64'], [cidr], `--ipv6 --subnet ${cidr} --subnet fd77::/64`],
    [[cidr], [cidr, 'fd77::/64'], `--subnet ${cidr}`],
  ])('a network of %j with %j is refused, with the arguments that would do', async (has, asked, remedy) => {
    await makePool('fd77::/64');
    await h1.join(request({ pools: has }));
    await expect(h2.join(request({ pools: asked }))).rejects.toThrow(`(create it here with ${remedy})`);
  });

  test('with subnets of both families takes them all, in whatever order they come', async () => {
    await makePool('fd77::/64');
    await h1.join(request({ pools: [cidr, 'fd77::/64'] }));
    await h2.join(request({ pools: ['fd77::/64', cidr] }));
    expect(await poolNetwork(cidr)).toBe('blue');
    expect(await poolNetwork('fd77::/64')).toBe('blue');
  });

  test('is refused for an IPv6 subnet of a network without a name, with all that names it', async () => {
    await makePool('fd77::/64');
    await makePool('10.78.0.0/16');
    await h1.join(request({ key: cidr, options: {}, pools: [cidr, 'fd77::/64'] }));
    const other = request({ key: '10.78.0.0/16', options: {}, pools: ['10.78.0.0/16', 'fd77::/64'] });
    await expect(h2.join(other)).rejects.toThrow(`join with --ipv6 --subnet ${cidr} --subnet fd77::/64`);
  });

  test('is refused for the subnet of another network, by its name', async () => {
    await h1.join(request());
    const red = request({ key: 'red', options: { network: 'red' } });
    await expect(h2.join(red)).rejects.toThrow("subnet 10.77.0.0/16 is network blue's");
  });

  test('twice on one host needs a name', async () => {
    await h1.join(request({ key: cidr, options: {} }));
    const again = request({ key: cidr, options: {}, dockerNetwork: 'd2' });
    await expect(h1.join(again)).rejects.toThrow('already is a network on this host');
    await h2.join(again);
  });

  test('with a VNI that another network has is refused', async () => {
    await makePool('10.78.0.0/16');
    await h1.join(request({ options: { network: 'blue', fabric: 'vxlan', vni: 9 } }));
    const options = { network: 'red', fabric: 'vxlan', vni: 9 };
    await expect(h2.join(request({ key: 'red', options, pools: ['10.78.0.0/16'] }))).rejects.toThrow(
      "VNI 9 is network blue's",
    );
  });

  test('is settled when the answer is lost', async () => {
    store.loseAnswers(1);
    await h1.join(request());
    const participant = await store.get(keys.participant('blue', 'h1'));
    expect(records.participant.parse(participant?.value ?? '').dockerNetworks).toEqual(['d1']);
  });
});

describe('leaving', () => {
  test('takes the network away with the last host, and frees its subnet', async () => {
    await h1.join(request());
    await h2.join(request({ dockerNetwork: 'd2' }));
    await h1.leave('blue', ['d1']);
    expect(await store.get(keys.network('blue'))).toBeDefined();
    await h2.leave('blue', ['d2']);
    expect((await store.list(keys.networks)).entries).toEqual([]);
    expect(await poolNetwork()).toBeUndefined();
  });

  test('keeps the host in while another of its Docker networks is this network', async () => {
    await h1.join(request());
    await h1.join(request({ dockerNetwork: 'd2' }));
    await h1.leave('blue', ['d1']);
    expect(await store.get(keys.participant('blue', 'h1'))).toBeDefined();
  });

  test('twice, or of the unknown, succeeds', async () => {
    await h1.leave('blue', ['d1']);
    await h1.join(request());
    await h1.leave('blue', ['d1']);
    await h1.leave('blue', ['d1']);
  });

  test('at the same moment leaves nothing behind', async () => {
    await h1.join(request());
    await h2.join(request({ dockerNetwork: 'd2' }));
    await Promise.all([h1.leave('blue', ['d1']), h2.leave('blue', ['d2'])]);
    expect((await store.list(keys.networks)).entries).toEqual([]);
  });
});
