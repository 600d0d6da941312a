/** A server of weft's on sockets of its own, with fakes behind it, for one test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type ServerOptions, startServer } from '../../src/cnm/server.ts';
import { FakeCalls } from '../fakes/calls.ts';
import { DockerClient } from './docker-client.ts';

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn';
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-cnm-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

export async function serve(options: Partial<ServerOptions> & { readonly host?: string } = {}) {
  const { host, ...rest } = options;
  const sockets = rest.sockets ?? [join(await temporaryFolder(), 'weft.sock')];
  const calls = new FakeCalls();
  const lines: LogLine[] = [];
  const log = (level: LogLine['level']) => (fields: object, message?: string) => {
    lines.push({ level, fields: { ...fields }, message: message ?? '' });
  };
  const server = await startServer({
    network: calls,
    addresses: calls,
    scope: 'local',
    wantsMac: false,
    log: { debug: log('debug'), info: log('info'), warn: log('warn') },
    ...rest,
    sockets,
  });
  const docker = new DockerClient(sockets[sockets.length - 1] ?? '', host);
  onTestFinished(async () => {
    docker.close();
    await server.close();
  });
  return { calls, docker, lines, server, sockets };
}
