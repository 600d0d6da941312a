/** Hosts with weft, each beside a Docker of its own, on one store. */
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Docker, type DockerEvent, dockerAt } from '../../../src/observe/docker.ts';
import { followDocker } from '../../../src/observe/follow.ts';
import { type Replication, startReplication } from '../../../src/observe/replicator.ts';
import { systemClock } from '../../../src/store/clock.ts';
import { mirroring } from '../../../src/store/mirror.ts';
import type { Entry, Notice, Store } from '../../../src/store/store.ts';
import { FakeDocker } from '../../fakes/docker.ts';
import { FakeStore } from '../../fakes/store.ts';
import { keysIn, startHost, type WeftHost } from '../agent/weft-host.ts';

const blue = { Name: 'blue', Driver: 'weft', IPAM: { Driver: 'weft-ipam' } };
const patience = { timeout: 15_000, interval: 20 };

/** Dies around its `at`th change of something shared: before it takes effect, or after, and before weft knows. */
interface Death {
  readonly at: number;
  readonly when: 'before' | 'after';
}

class Machine {
  readonly docker = new FakeDocker();
  weft: WeftHost;
  replication: Replication | undefined;
  /** weft is dead because of `Death`. */
  isDead = false;
  deaths = 0;
  resyncMs = 250;
  /** Docker has answered whether a network is used, and weft has not heard it yet. */
  onUsed: () => Promise<void> = async () => undefined;
  /** weft has heard an event. */
  onHeard: (event: DockerEvent) => void = () => undefined;
  /** Nothing that weft writes gets to the store until this resolves. */
  writing = Promise.resolve();
  /** Nor does it hear of what happens there until this does. */
  hearing = Promise.resolve();
  /** Keys that weft has read in the store itself. */
  readonly read = new Set<string>();
  #stop = new AbortController();

  constructor(number: number) {
    const transact: Store['transact'] = async (transaction) => {
      await this.writing;
      return store.transact(transaction);
    };
    const get: Store['get'] = (key) => {
      this.read.add(key);
      return store.get(key);
    };
    const watch = (prefix: string, signal: AbortSignal) => this.#heard(store.watch(prefix, signal));
    this.weft = startHost({ ...mirroring(store, () => []), transact, get, watch }, number);
  }

  start(death?: Death): void {
    this.#stop = new AbortController();
    this.isDead = false;
    const signal = this.#stop.signal;
    let changes = 0;
    const mortal =
      <A extends unknown[], R>(change: (...args: A) => Promise<R>) =>
      async (...args: A): Promise<R> => {
        changes += 1;
        const isLast = changes === death?.at;
        if (isLast && death?.when === 'before') this.#die();
        if (this.isDead) throw new Error('weft is dead');
        const result = await change(...args);
        if (isLast) this.#die();
        if (this.isDead) throw new Error('weft is dead');
        return result;
      };
    const { docker, weft } = this;
    const real = dockerAt(docker.socketPath);
    const api: Docker = {
      ...real,
      createNetwork: mortal(real.createNetwork),
      removeNetwork: mortal(real.removeNetwork),
      isUsed: async (...references) => {
        const answer = await real.isUsed(...references);
        await this.onUsed();
        return answer;
      },
      events: async (signal) => this.#told(await real.events(signal)),
    };
    const { publish, renounce, resume, discard, ...reads } = weft.recipes;
    const recipes = {
      ...reads,
      publish: mortal(publish),
      renounce: mortal(renounce),
      resume: mortal(resume),
      discard: mortal(discard),
    };
    docker.plugin = weft;
    const observing = {
      docker: api,
      resyncMs: this.resyncMs,
      clock: systemClock,
      random: () => 0,
      log: pino({ level: 'silent' }),
      signal,
    };
    this.replication = startReplication({ ...observing, agent: { ...weft, recipes } });
    void followDocker({ ...observing, listeners: [this.replication] });
  }

  /** weft is down; Docker calls it in vain. */
  stop(): void {
    this.#stop.abort();
    this.docker.plugin = undefined;
  }

  /** The machine is off. */
  async turnOff(): Promise<void> {
    this.stop();
    await this.weft.close();
  }

  async restart(): Promise<void> {
    this.stop();
    this.weft = await this.weft.restart();
    this.start();
  }

  async remove(): Promise<void> {
    this.stop();
    await this.weft.remove();
    await this.docker.remove();
  }

  async *#heard(notices: AsyncIterable<Notice>): AsyncGenerator<Notice> {
    for await (const notice of notices) {
      await this.hearing;
      yield notice;
    }
  }

  async *#told(events: AsyncIterable<DockerEvent>): AsyncGenerator<DockerEvent> {
    for await (const event of events) {
      yield event;
      this.onHeard(event);
    }
  }

  #die(): void {
    this.isDead = true;
    this.deaths += 1;
    this.#stop.abort();
  }
}

let store: FakeStore;
let machines: Machine[];

async function boot(number: number, death?: Death): Promise<Machine> {
  const machine = new Machine(number);
  await machine.docker.start();
  machine.start(death);
  machines.push(machine);
  return machine;
}

beforeEach(() => {
  store = new FakeStore();
  machines = [];
});

afterEach(async () => {
  for (const machine of machines) await machine.remove();
});

const namesEverywhere = () => machines.map(({ docker }) => docker.names());
const everywhere = (...names: string[]) => machines.map(() => names);

/** All hosts come to have these networks, and only these. */
async function settlesOn(...names: string[]): Promise<void> {
  await expect.poll(namesEverywhere, patience).toEqual(everywhere(...names));
}

async function troubleOf(machine: Machine, name: string): Promise<void> {
  await expect.poll(() => machine.replication?.troubles().get(name), patience).toBeDefined();
}

const subnetsOf = (name: string) =>
  machines.map(({ docker }) =>
    docker
      .network(name)
      ?.subnets.map(({ Subnet }) => Subnet)
      .join(),
  );

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

describe('three hosts whose store has lost its data', () => {
  let h1: Machine;
  let h2: Machine;
  let h3: Machine;

  beforeEach(async () => {
    h1 = await boot(1);
    h2 = await boot(2);
    h3 = await boot(3);
    await h1.docker.createNetwork(blue);
    await settlesOn('blue');
    await areNoted();
  });

  const isOffered = () => expect.poll(() => store.get('/weft/v1/recipes/blue'), patience).toBeDefined();
  const areNoted = async () => {
    const isNoted = ({ weft }: Machine) => weft.ledger.replicas.get('blue')?.docker !== undefined;
    await expect.poll(() => machines.every(isNoted), patience).toBe(true);
  };
  const isKnown = ({ weft }: Machine) =>
    weft.ledger.networks.all().every(({ id, key }) => weft.recipes.takesPart(key, id));

  /** What these write waits until the answer is called. */
  function hold(...held: readonly Machine[]): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const machine of held) machine.writing = promise;
    return resolve;
  }

  const wipe = () => store.writeElsewhere([{ deletePrefix: '/weft/v1/' }]);
  /** With another member list, say: all watches break, and revisions begin anew. */
  const restore = (entries: readonly Entry[], revision: bigint) => {
    store.stop();
    store.restore(entries, revision);
    store.start();
  };
  const losses: readonly [string, () => Promise<void> | void][] = [
    ['wiped by hand', wipe],
    ['made anew', () => restore([], 1n)],
    [
      'emptied of all but what hosts say of themselves',
      async () => {
        const { entries } = await store.list('/weft/v1/');
        const others = entries.filter(({ key }) => !key.startsWith('/weft/v1/hosts/'));
        store.writeElsewhere(others.map(({ key }) => ({ delete: key })));
      },
    ],
    [
      'restored from a backup that does not have the network',
      async () => {
        const { entries, revision } = await store.list('/weft/v1/');
        const isOfNetwork = (key: string) => /\/(networks|recipes|pools|blocks)\//.test(key);
        restore(
          entries.filter(({ key }) => !isOfNetwork(key)),
          revision - 5n,
        );
      },
    ],
  ];

  test.each(losses)('keep their networks and offer them again: %s', async (_how, lose) => {
    await lose();
    await isOffered();
    await expect.poll(() => machines.every(isKnown), patience).toBe(true);
    // A pass begins on every host, and ends.
    await h2.docker.createNetwork({ Name: 'bridged' });
    await boot(4);
    await expect.poll(() => machines.at(-1)?.docker.names(), patience).toEqual(['blue']);
    expect(machines.flatMap(({ docker }) => docker.changes.filter((it) => it.startsWith('DELETE')))).toEqual(
      [],
    );
    await h3.docker.removeNetwork('blue');
    await expect.poll(namesEverywhere, patience).toEqual([[], ['bridged'], [], []]);
  });

  test.each(losses)(
    'lose one that is removed before a host has told the store of it: %s',
    async (_how, lose) => {
      const release = hold(h2);
      await lose();
      await isOffered();
      await h3.docker.removeNetwork('blue');
      await expect.poll(() => store.get('/weft/v1/recipes/blue'), patience).toBeUndefined();
      release();
      await settlesOn();
      await expect
        .poll(() => machines.every(({ weft }) => weft.ledger.replicas.all().length === 0), patience)
        .toBe(true);
      await isGone();
    },
  );

  test.each(losses)(
    'lose one that is removed before any has told the store of it: %s',
    async (_how, lose) => {
      const release = hold(h1, h2, h3);
      await lose();
      await h3.docker.removeNetwork('blue');
      release();
      await settlesOn();
      await isGone();
    },
  );

  test.each(losses)(
    'lose one that is removed where the loss has not been heard of: %s',
    async (_how, lose) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      h3.hearing = promise;
      await lose();
      await h3.docker.removeNetwork('blue');
      await expect.poll(() => h3.read.has('/weft/v1/recipes/blue'), patience).toBe(true);
      resolve();
      await settlesOn();
      await isGone();
    },
  );

  test.each(losses)('lose one that is removed while a host is off: %s', async (_how, lose) => {
    await h2.turnOff();
    await lose();
    await isOffered();
    await h3.docker.removeNetwork('blue');
    await expect.poll(namesEverywhere, patience).toEqual([[], ['blue'], []]);
    await h2.restart();
    await settlesOn();
    await isGone();
  });

  test.each(losses)('stay without one that they removed while another uses it: %s', async (_how, lose) => {
    await h2.docker.startContainer(h2.docker.createContainer('blue'));
    await h1.docker.removeNetwork('blue');
    const isLeftWithout = ({ weft }: Machine) => weft.ledger.replicas.get('blue')?.without?.length === 1;
    await expect.poll(() => [h2, h3].every(isLeftWithout), patience).toBe(true);
    await lose();
    await isOffered();
    const h4 = await boot(4);
    await expect.poll(() => h4.docker.names(), patience).toEqual(['blue']);
    expect(namesEverywhere()).toEqual([[], ['blue'], ['blue'], ['blue']]);
  });

  test.each(losses)(
    'give its name to another while a host is off that still has it: %s',
    async (_how, lose) => {
      const [before] = subnetsOf('blue');
      await h2.turnOff();
      await lose();
      await isOffered();
      await h3.docker.removeNetwork('blue');
      await expect.poll(namesEverywhere, patience).toEqual([[], ['blue'], []]);
      const h4 = await boot(4);
      const Config = [{ Subnet: '10.77.0.0/16' }];
      await h4.docker.createNetwork({ ...blue, IPAM: { ...blue.IPAM, Config } });
      await isOffered();
      await h2.restart();
      await expect.poll(() => subnetsOf('blue')[1], patience).not.toBe(before);
      expect(h4.docker.names()).toEqual(['blue']);
    },
  );

  /** It has not come back by the time that a host which is new has looked. */
  async function isGone(): Promise<void> {
    const h4 = await boot(4);
    await h4.docker.createNetwork({ Name: 'bridged' });
    expect(namesEverywhere()).toEqual([[], [], [], ['bridged']]);
    expect(await store.get('/weft/v1/recipes/blue')).toBeUndefined();
  }
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
