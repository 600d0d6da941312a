/** Being asked in the place of Docker's resolver, and giving the place back. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type ResolverPlace, takeResolverPlace } from '../../src/kernel/docker-resolver.ts';
import { isSandboxKept, sandboxFile } from '../../src/kernel/sandbox.ts';
import { addSpace, type Space } from './host.ts';

const source = join(import.meta.dirname, '../../src/kernel/docker-resolver.ts');

/** Docker's resolver as it is in every container: on ports of its own, to which 53 leads. */
const docker = `
  const { createSocket } = require('node:dgram');
  const { createServer } = require('node:net');
  const udp = createSocket('udp4');
  udp.on('message', (query, from) => udp.send(query + ' by Docker', from.port, from.address));
  udp.bind(5300, '127.0.0.11');
  const tcp = createServer((socket) => socket.on('data', (query) => socket.end(query + ' by Docker')));
  tcp.listen(5300, '127.0.0.11', () => console.log('listens'));`;
const dockerRules = ['udp', 'tcp'].map(
  (protocol) => `nft add rule ip nat OUTPUT ip daddr 127.0.0.11 ${protocol} dport 53 dnat to 127.0.0.11:5300`,
);

const askByUdp = `
  const socket = require('node:dgram').createSocket('udp4');
  socket.on('message', (answer, from) => { console.log(from.address + ':' + from.port, String(answer)); socket.close(); });
  socket.send('who', 53, '127.0.0.11');`;
const askByTcp = `
  const socket = require('node:net').connect(53, '127.0.0.11', () => socket.write('who'));
  socket.on('data', (answer) => { console.log(String(answer)); socket.end(); });`;

let container: Space;
let dockerd: ChildProcess;
let place: ResolverPlace | undefined;

function node(script: string): ChildProcess {
  const argv = ['netns', 'exec', container.name, process.execPath, '-e', script];
  return spawn('ip', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function firstLine({ stdout }: ChildProcess): Promise<string> {
  if (stdout === null) throw new Error('its output is not read');
  const [line] = await once(stdout, 'data');
  return String(line).trim();
}

const ask = (script: string) => firstLine(node(script));

beforeAll(async () => {
  container = addSpace();
  container.run(
    [
      'nft add table ip nat',
      ...['nft add chain ip nat OUTPUT { type nat hook output priority -100 \\; }'],
      ...dockerRules,
    ].join('\n'),
  );
  dockerd = node(docker);
  await firstLine(dockerd);
});

afterAll(() => {
  dockerd.kill();
  container.remove();
});

beforeEach(async () => {
  place = await takeResolverPlace(container.file);
  place?.datagrams.on('message', (query, from) => {
    place?.datagrams.send(`${query} by weft`, from.port, from.address);
  });
  place?.connections.on('connection', (socket) => {
    socket.on('data', (query) => socket.end(`${query} by weft`));
  });
});

afterEach(() => place?.close());

test('weft is asked first, and answers from where it was asked', async () => {
  expect(await ask(askByUdp)).toBe('127.0.0.11:53 who by weft');
  expect(await ask(askByTcp)).toBe('who by weft');
});

test("weft asks Docker's own", async () => {
  const socket = place?.openDatagrams();
  const server = place?.connect();
  if (socket === undefined || server === undefined) throw new Error('no place');
  place?.askByDatagram(socket, Buffer.from('weft'));
  const [answer, from] = await once(socket, 'message');
  expect(String(answer)).toBe('weft by Docker');
  expect(place?.isDocker(from)).toBe(true);
  expect(place?.isDocker({ address: '127.0.0.1', port: 53 })).toBe(false);
  socket.close();
  server.write('weft');
  const [bytes] = await once(server, 'data');
  expect(String(bytes)).toBe('weft by Docker');
});

test('once it is closed, Docker is asked as before', async () => {
  place?.close();
  expect(place?.closed.aborted).toBe(true);
  expect(await ask(askByUdp)).toBe('127.0.0.11:53 who by Docker');
  expect(await ask(askByTcp)).toBe('who by Docker');
  expect(container.run('nft list tables')).not.toContain('weft');
});

test('it cannot be had twice, and what came in between is undone', async () => {
  await expect(takeResolverPlace(container.file)).rejects.toThrow('cannot answer for names');
  expect(await ask(askByUdp)).toBe('127.0.0.11:53 who by weft');
});

test('when the process that has it is killed, Docker is asked as before', async () => {
  place?.close();
  const holder = spawn(
    process.execPath,
    [
      '-e',
      `import(${JSON.stringify(source)}).then(async ({ takeResolverPlace }) => {
      await takeResolverPlace(${JSON.stringify(container.file)});
      console.log('holds');
    });`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await firstLine(holder);
  expect(container.run('nft list tables')).toContain('weft');
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  expect(await ask(askByUdp)).toBe('127.0.0.11:53 who by Docker');
});

test('a namespace that is not there has no place, and one that is gone is known to be', async () => {
  expect(await takeResolverPlace(`${container.file}-not`)).toBeUndefined();
  const short = addSpace();
  const held = await takeResolverPlace(short.file);
  const isKept = () => isSandboxKept('/run', `/var${short.file}`);
  expect([held?.isCurrent(), isKept()]).toEqual([true, true]);
  short.remove();
  expect([held?.isCurrent(), isKept()]).toEqual([false, false]);
  held?.close();
});

test.each([
  ['/var/run/docker/netns/0123456789ab', '/host/run/docker/netns/0123456789ab'],
  ['/run/docker/netns/0123456789ab', '/host/run/docker/netns/0123456789ab'],
])("Docker's sandbox %s is %s here", (sandbox, file) => {
  expect(sandboxFile('/host/run', sandbox)).toBe(file);
});
