/** Servers in namespaces that tell their names, and whom they hear; and how they are asked. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { familyOf } from '../../src/model/address.ts';
import type { Space } from './host.ts';

export const tcp = 6;
export const udp = 17;

const servers: ChildProcess[] = [];

/** After each test that had some. */
export async function endServers(): Promise<void> {
  for (const server of servers.splice(0)) {
    server.kill('SIGKILL');
    await once(server, 'exit');
  }
}

/** Answers whoever asks with its own name and their address. */
export async function serve(space: Space, protocol: number, port: number, name: string): Promise<void> {
  const script =
    protocol === tcp
      ? `require('net').createServer((s) => s.end('${name} hears ' + s.remoteAddress.replace('::ffff:', ''))).listen(${port}, '::', () => console.log('up'))`
      : `const s = require('dgram').createSocket('udp6'); s.on('message', (m, r) => s.send('${name} hears ' + r.address.replace('::ffff:', ''), r.port, r.address)); s.bind(${port}, () => console.log('up'))`;
  const server = spawn('ip', ['netns', 'exec', space.name, process.execPath, '-e', script]);
  servers.push(server);
  await once(server.stdout, 'data');
}

/** What is answered; or the code of the error, or nothing. */
export function ask(space: Space, protocol: number, address: string, port: number, from = 0): string {
  const script =
    protocol === tcp
      ? `const s = require('net').connect(${port}, '${address}'); s.on('data', (d) => console.log(String(d))); s.on('error', (e) => console.log(e.code)); setTimeout(() => process.exit(), 1500).unref()`
      : `const s = require('dgram').createSocket('udp${familyOf(address)}'); s.on('message', (d) => { console.log(String(d)); s.close(); }); s.bind(${from}, () => s.send('?', ${port}, '${address}')); setTimeout(() => process.exit(), 1500).unref()`;
  return space.run(`timeout 5 ${process.execPath} -e "${script}" || true`).trim();
}
