import { beforeEach, describe, expect, test } from 'vitest';
import { keysIn } from '../agent/weft-host.ts';
import {
  blue,
  boot,
  everywhere,
  type Machine,
  machines,
  namesEverywhere,
  patience,
  settlesOn,
  store,
  subnetsOf,
  useMachines,
} from './machines.ts';

useMachines();

async function troubleOf(machine: Machine, name: string): Promise<void> {
  await expect.poll(() => machine.replication?.troubles().get(name), patience).toBeDefined();
}

describe('three hosts', () => {
  let h1: Machine;
  let h2: Machine;
  let h3: Machine;

  beforeEach(async () => {
    h1 = await boot(1);
    h2 = await boot(2);
    h3 = await boot(3);
  });

  test('have what was made on one, with all that it was made with', async () => {
    const creation = {
      ...blue,
      ...{ Internal: true, Attachable: true, EnableIPv6: true, Labels: { a: 'b' } },
      Options: { 'weft.fabric': 'vxlan', 'weft.network': 'azure', 'com.example': '1' },
      IPAM: {
        Driver: 'weft-ipam',
        Options: { 'weft.network': 'azure' },
        Config: [{ Subnet: '10.77.0.0/16', AuxiliaryAddresses: { x: '10.77.0.9' } }, { Subnet: 'fd77::/64' }],
      },
    };
    await h1.docker.createNetwork(creation);
    await settlesOn('blue');
    for (const { docker } of [h2, h3]) expect(docker.network('blue')?.creation).toMatchObject(creation);
  });

  test('have one subnet where weft chose it', async () => {
    await h2.docker.createNetwork(blue);
    await settlesOn('blue');
    expect(new Set(subnetsOf('blue')).size).toBe(1);
  });

  test('lose it together when nobody uses it', async () => {
    await h1.docker.createNetwork(blue);
    await settlesOn('blue');
    await h3.docker.removeNetwork('blue');
    await settlesOn();
    await expect.poll(() => keysIn(store), patience).toEqual([]);
  });

  test('take a removal with a new network of the name for what it is', async () => {
    await h1.docker.createNetwork(blue);
    await settlesOn('blue');
    const before = subnetsOf('blue');
    await h1.docker.removeNetwork('blue');
    await h1.docker.createNetwork({ ...blue, IPAM: { ...blue.IPAM, Config: [{ Subnet: '10.77.0.0/16' }] } });
    await expect.poll(() => subnetsOf('blue'), patience).toEqual(machines.map(() => '10.77.0.0/16'));
    expect(before).not.toContain('10.77.0.0/16');
  });

  test('keep it but for the one that removed it while another uses it, until it makes it again', async () => {
    await h1.docker.createNetwork(blue);
    await settlesOn('blue');
    const container = h2.docker.createContainer('blue');
    await h2.docker.startContainer(container);
    await h1.docker.removeNetwork('blue');
    await expect
      .poll(() => store.get('/weft/v1/recipes/blue').then((entry) => entry?.value), patience)
      .toContain(`"without":["${h1.weft.id}"]`);
    const h4 = await boot(4);
    await expect.poll(() => h4.docker.names(), patience).toEqual(['blue']);
    expect(namesEverywhere()).toEqual([[], ['blue'], ['blue'], ['blue']]);

    await h1.docker.createNetwork(blue);
    await expect.poll(() => new Set(subnetsOf('blue')).size, patience).toBe(1);
    await h2.docker.removeContainer(container);
    await h2.docker.removeNetwork('blue');
    await settlesOn();
  });

  test('keep it where a container that is stopped refers to it, until that is gone', async () => {
    await h1.docker.createNetwork(blue);
    await settlesOn('blue');
    const container = h2.docker.createContainer('blue');
    await h1.docker.removeNetwork('blue');
    await troubleOf(h2, 'blue');
    await expect.poll(namesEverywhere, patience).toEqual([[], ['blue'], []]);
    await h2.docker.removeContainer(container);
    await settlesOn();
  });

  test('lose it also where its last container goes while Docker is asked', async () => {
    h2.resyncMs = 600_000;
    await h2.restart();
    await h1.docker.createNetwork(blue);
    await settlesOn('blue');
    const container = h2.docker.createContainer('blue');
    const { promise: heard, resolve } = Promise.withResolvers<void>();
    h2.onHeard = ({ action, id }) => action === 'destroy' && id === container && resolve();
    h2.onUsed = async () => {
      await h2.docker.removeContainer(container);
      await heard;
    };
    await h1.docker.removeNetwork('blue');
    await settlesOn();
  });

  test('are left alone by a network that shall stay where it is', async () => {
    await h1.docker.createNetwork({ ...blue, Name: 'alone', Options: { 'weft.replicate': 'off' } });
    await h1.docker.createNetwork(blue);
    await expect.poll(namesEverywhere, patience).toEqual([['alone', 'blue'], ['blue'], ['blue']]);
  });

  test('leave a network of another driver in place, say so, and go on when it is gone', async () => {
    await h2.docker.createNetwork({ Name: 'blue' });
    await h1.docker.createNetwork(blue);
    await troubleOf(h2, 'blue');
    await settlesOn('blue');
    expect(h2.docker.network('blue')?.creation.Driver).toBeUndefined();
    await h2.docker.removeNetwork('blue');
    await expect.poll(() => h2.docker.network('blue')?.creation.Driver, patience).toBe('weft');
    await expect.poll(() => h2.replication?.troubles().size, patience).toBe(0);
  });

  test('come to one network when all make one of the same name at once', async () => {
    await Promise.all([h1, h2, h3].map(({ docker }) => docker.createNetwork(blue)));
    await settlesOn('blue');
    await expect.poll(() => new Set(subnetsOf('blue')).size, patience).toBe(1);
    await h1.docker.removeNetwork('blue');
    await settlesOn();
  });

  test('come to one network also where Docker let two of the name be made at once', async () => {
    await h1.docker.createNetwork(blue);
    await settlesOn('blue');
    const container = h2.docker.createContainer('blue');
    await h2.docker.startContainer(container);
    await h2.docker.createNetwork(blue, { racing: true });
    await settlesOn('blue');
    expect(new Set(subnetsOf('blue')).size).toBe(1);
  });

  test('do not overwrite what two users asked for differently, and say so', async () => {
    const [one, two] = ['10.77.0.0/16', '10.78.0.0/16'].map((Subnet) => ({
      ...blue,
      IPAM: { ...blue.IPAM, Config: [{ Subnet }] },
    }));
    await Promise.all([h1.docker.createNetwork(one ?? blue), h2.docker.createNetwork(two ?? blue)]);
    await settlesOn('blue');
    await expect
      .poll(() => [h1, h2].filter(({ replication }) => replication?.troubles().has('blue')).length)
      .toBe(1);
    expect(subnetsOf('blue').slice(0, 2)).toEqual(['10.77.0.0/16', '10.78.0.0/16']);
  });

  test('tell a later one of all networks', async () => {
    for (const Name of ['blue', 'green', 'red']) await h1.docker.createNetwork({ ...blue, Name });
    await boot(4);
    await settlesOn('blue', 'green', 'red');
  });

  test('go on when a daemon starts again, on another socket', async () => {
    await h1.docker.createNetwork(blue);
    await settlesOn('blue');
    await h2.docker.stop();
    await h1.docker.createNetwork({ ...blue, Name: 'green' });
    await h2.docker.start();
    await settlesOn('blue', 'green');
    await h2.docker.createNetwork({ ...blue, Name: 'red' });
    await settlesOn('blue', 'green', 'red');
  });

  test('learn of what happened on a host while weft was down there', async () => {
    await h1.docker.createNetwork(blue);
    await h1.docker.createNetwork({ ...blue, Name: 'green' });
    await settlesOn('blue', 'green');
    h1.stop();
    await h1.docker.removeNetwork('blue');
    await h2.docker.createNetwork({ ...blue, Name: 'red' });
    await h1.restart();
    await settlesOn('green', 'red');
    await h1.docker.removeNetwork('green');
    await h1.docker.removeNetwork('red');
    await settlesOn();
    await expect.poll(() => keysIn(store), patience).toEqual([]);
  });

  test('have the new network of a name where the host was off when the old one went', async () => {
    await h1.docker.createNetwork(blue);
    await settlesOn('blue');
    await h2.turnOff();
    await h1.docker.removeNetwork('blue');
    await expect.poll(namesEverywhere, patience).toEqual([[], ['blue'], []]);
    await h1.docker.createNetwork({ ...blue, IPAM: { ...blue.IPAM, Config: [{ Subnet: '10.77.0.0/16' }] } });
    await h2.restart();
    await expect.poll(() => subnetsOf('blue'), patience).toEqual(machines.map(() => '10.77.0.0/16'));
  });

  test('get nothing back that was removed while a host was off, and struck off, that comes back', async () => {
    await h1.docker.createNetwork(blue);
    await settlesOn('blue');
    await h2.turnOff();
    await h1.docker.removeNetwork('blue');
    await expect.poll(namesEverywhere, patience).toEqual([[], ['blue'], []]);
    store.writeElsewhere([{ delete: `/weft/v1/alive/${h2.weft.id}` }]);
    await h1.weft.tending.removeHost(h2.weft.id);
    await expect.poll(() => keysIn(store), patience).toEqual([]);
    await h2.restart();
    await settlesOn();
    await expect.poll(() => keysIn(store), patience).toEqual([]);
  });

  test.each(['recipes/blue', 'networks/10.160.0.0%2F20'])(
    'remove nothing because %s cannot be read',
    async (key) => {
      await h1.docker.createNetwork(blue);
      await settlesOn('blue');
      const entry = await store.get(`/weft/v1/${key}`);
      const value = entry?.value ?? '';
      expect(value).toContain('"v":1');
      const put = (value: string) =>
        store.transact({ conditions: [], writes: [{ put: `/weft/v1/${key}`, value }] });
      await put(value.replace('"v":1', '"v":2'));
      // A pass begins on every host, and ends.
      await h1.docker.createNetwork({ ...blue, Name: 'green' });
      await settlesOn('blue', 'green');
      await put(value);
      await h1.docker.createNetwork({ ...blue, Name: 'red' });
      await settlesOn('blue', 'green', 'red');
      expect(
        machines.flatMap(({ docker }) => docker.changes.filter((change) => change.startsWith('DELETE'))),
      ).toEqual([]);
      await h1.docker.removeNetwork('blue');
      await settlesOn('green', 'red');
    },
  );

  test('offer their networks anew to a store that was wiped, one host after the other', async () => {
    await h1.docker.createNetwork(blue);
    await settlesOn('blue');
    for (const machine of machines) machine.stop();
    await store.transact({ conditions: [], writes: [{ deletePrefix: '/weft/v1/' }] });
    for (const machine of machines) {
      await machine.restart();
      await expect.poll(() => store.get('/weft/v1/recipes/blue'), patience).toBeDefined();
      expect(namesEverywhere()).toEqual(everywhere('blue'));
    }
    const isNoted = ({ weft }: Machine) => weft.ledger.replicas.get('blue')?.docker !== undefined;
    await expect.poll(() => machines.every(isNoted), patience).toBe(true);
    await h3.docker.removeNetwork('blue');
    await settlesOn();
  });
});

describe('weft dies between any two steps, and starts again', () => {
  const deaths = [1, 2, 3].flatMap((at) => [{ at, when: 'before' } as const, { at, when: 'after' } as const]);
  const cases = deaths.flatMap((death) => [
    { ...death, who: 'the host where the user is' },
    { ...death, who: 'another' },
  ]);

  test.each(cases)('$who, $when change $at', async ({ who, ...death }) => {
    const atUser = who !== 'another';
    const h1 = await boot(1, atUser ? death : undefined);
    const h2 = await boot(2, atUser ? undefined : death);
    const mortal = atUser ? h1 : h2;
    const revive = async () => {
      if (mortal.isDead) await mortal.restart();
      return namesEverywhere();
    };
    await h1.docker.createNetwork(blue);
    await expect.poll(revive, patience).toEqual(everywhere('blue'));
    await h1.docker.removeNetwork('blue');
    await expect.poll(revive, patience).toEqual(everywhere());
    await h1.docker.createNetwork(blue);
    await expect.poll(revive, patience).toEqual(everywhere('blue'));
    await expect.poll(() => new Set(subnetsOf('blue')).size, patience).toBe(1);
    await expect.poll(() => mortal.deaths, patience).toBe(1);
  });

  test('and finds the network removed that it was about to make', async () => {
    const h1 = await boot(1);
    const h2 = await boot(2, { at: 1, when: 'after' });
    await h1.docker.createNetwork(blue);
    await expect.poll(() => h2.isDead, patience).toBe(true);
    await h1.docker.removeNetwork('blue');
    await expect.poll(() => store.get('/weft/v1/recipes/blue'), patience).toBeUndefined();
    expect(h2.docker.names()).toEqual(['blue']);
    await h2.restart();
    await settlesOn();
    await expect.poll(() => keysIn(store), patience).toEqual([]);
  });
});
