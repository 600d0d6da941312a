/** What weft relies on in Docker's API. Run over the fake, and over every daemon that weft supports. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WeftError } from '../../src/errors.ts';
import { type Docker, type DockerEvent, dockerAt } from '../../src/observe/docker.ts';
import type { DockerNetwork } from '../../src/observe/docker-network.ts';

/** A daemon, and what a user does with it. */
export interface DockerBed {
  readonly socketPath: string;
  /** Answers its id. */
  createContainer(network: string): Promise<string>;
  startContainer(id: string): Promise<void>;
  removeContainer(id: string): Promise<void>;
  restart(): Promise<void>;
  close(): Promise<void>;
}

const wanted: DockerNetwork = {
  id: '',
  name: 'weft.suite-1',
  driver: 'bridge',
  internal: true,
  attachable: true,
  ipv4: true,
  ipv6: false,
  options: { 'com.docker.network.driver.mtu': '1400' },
  labels: { 'com.example.label': 'a "quoted" ü' },
  ipam: {
    driver: 'default',
    options: {},
    subnets: [
      {
        subnet: '10.66.0.0/16',
        range: '10.66.1.0/24',
        gateway: '10.66.0.9',
        reserved: { router: '10.66.0.7' },
      },
    ],
  },
};

export function dockerSuite(open: () => Promise<DockerBed>): void {
  let bed: DockerBed;
  let docker: Docker;

  beforeAll(async () => {
    bed = await open();
    docker = dockerAt(bed.socketPath);
  });

  afterAll(() => bed?.close());

  const codeOf = (error: WeftError) => error.code;

  test('a network is told of as it was asked for', async () => {
    const id = await docker.createNetwork(wanted);
    const listed = (await docker.networks()).find(({ name }) => name === wanted.name);
    expect(listed).toEqual({ ...wanted, id });
    expect(await docker.hasNetwork(id)).toBe(true);
    await docker.removeNetwork(id);
    expect((await docker.networks()).some(({ name }) => name === wanted.name)).toBe(false);
    expect(await docker.hasNetwork(id)).toBe(false);
  });

  test('a name is given once, and the refusal says what Docker says', async () => {
    const id = await docker.createNetwork(wanted);
    const refusal = await docker.createNetwork(wanted).catch((error: WeftError) => error);
    expect(refusal).toMatchObject({ code: 'conflict' });
    expect(String(refusal)).toContain('already exists');
    await docker.removeNetwork(id);
  });

  test('removing what is not there succeeds', async () => {
    await docker.removeNetwork('0'.repeat(64));
  });

  test('a network is in use from the creation of a container to its removal', async () => {
    const id = await docker.createNetwork(wanted);
    expect(await docker.isUsed(id, wanted.name)).toBe(false);
    const container = await bed.createContainer(wanted.name);
    expect(await docker.isUsed(id, wanted.name)).toBe(true);
    await bed.startContainer(container);
    expect(await docker.isUsed(id)).toBe(true);
    expect(await docker.removeNetwork(id).catch(codeOf)).toBe('conflict');
    await bed.removeContainer(container);
    expect(await docker.isUsed(id, wanted.name)).toBe(false);
    await docker.removeNetwork(id);
  });

  test('a container that runs is told of with its names', async () => {
    const id = await docker.createNetwork(wanted);
    const container = await bed.createContainer(wanted.name);
    expect(await docker.containers()).not.toContain(container);
    await bed.startContainer(container);
    expect(await docker.containers()).toContain(container);
    const { endpoints } = await docker.container(container);
    expect(endpoints).toEqual([
      {
        endpoint: expect.stringMatching(/^[0-9a-f]{64}$/),
        network: wanted.name,
        names: [expect.any(String), container.slice(0, 12)],
      },
    ]);
    const [endpoint] = endpoints;
    expect(await docker.attachments()).toEqual([
      {
        container: endpoint?.names[0],
        network: id,
        endpoint: endpoint?.endpoint,
        addresses: expect.any(Array),
      },
    ]);
    await bed.removeContainer(container);
    expect(await docker.attachments()).toEqual([]);
    expect(await docker.container(container).catch(codeOf)).toBe('not-found');
    await docker.removeNetwork(id);
  });

  describe('events', () => {
    async function nextOf(
      events: AsyncIterable<DockerEvent>,
      action: string,
    ): Promise<DockerEvent | undefined> {
      for await (const event of events) if (event.action === action) return event;
      return undefined;
    }

    test('tell of networks and containers', async () => {
      const events = await docker.events(AbortSignal.timeout(60_000));
      const created = nextOf(events, 'create');
      const id = await docker.createNetwork(wanted);
      expect(await created).toEqual({ type: 'network', action: 'create', id });
      const destroyed = nextOf(await docker.events(AbortSignal.timeout(60_000)), 'destroy');
      const container = await bed.createContainer(wanted.name);
      await bed.removeContainer(container);
      expect(await destroyed).toMatchObject({ type: 'container', action: 'destroy' });
      const connected = nextOf(await docker.events(AbortSignal.timeout(60_000)), 'connect');
      const second = await bed.createContainer(wanted.name);
      await bed.startContainer(second);
      expect(await connected).toEqual({ type: 'network', action: 'connect', id, container: second });
      await bed.removeContainer(second);
      await docker.removeNetwork(id);
    });

    test('end with the daemon, and go on from its next start', async () => {
      const events = await docker.events(AbortSignal.timeout(60_000));
      const end = nextOf(events, 'never').catch(() => undefined);
      await bed.restart();
      expect(await end).toBeUndefined();
      const created = nextOf(await docker.events(AbortSignal.timeout(60_000)), 'create');
      const id = await docker.createNetwork(wanted);
      expect(await created).toMatchObject({ id });
      await docker.removeNetwork(id);
    });

    test('end with the signal', async () => {
      const leaving = new AbortController();
      const events = await docker.events(leaving.signal);
      const end = nextOf(events, 'never').catch(() => undefined);
      leaving.abort();
      expect(await end).toBeUndefined();
    });
  });

  test('where nobody listens, all fails by name', async () => {
    const nowhere = dockerAt(`${bed.socketPath}.not`);
    expect(await nowhere.networks().catch(codeOf)).toBe('unavailable');
    expect(await nowhere.events(AbortSignal.timeout(1_000)).catch(codeOf)).toBe('unavailable');
  });
}
