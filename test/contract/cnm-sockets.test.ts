import { link, mkdir, readFile, rm, stat, symlink, watch, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { explain, WeftError } from '../../src/errors.ts';
import { network } from './cnm-bodies.ts';
import { serve, temporaryFolder } from './cnm-server.ts';
import { DockerClient } from './docker-client.ts';

describe('sockets', () => {
  test('all serve the same, are for root only, and are gone after close', async () => {
    const folder = await temporaryFolder();
    const sockets = ['weft.sock', 'weft-ipam.sock', 'managed/weft.sock'].map((name) => join(folder, name));
    const { server } = await serve({ sockets });
    for (const path of sockets) {
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      const docker = new DockerClient(path);
      expect((await docker.call('Plugin.Activate')).body).toEqual({
        Implements: ['NetworkDriver', 'IpamDriver'],
      });
      docker.close();
    }
    await server.close();
    for (const path of sockets) await expect(stat(path)).rejects.toThrow('ENOENT');
  });

  test('take the place of stale files', async () => {
    const folder = await temporaryFolder();
    const plain = join(folder, 'plain.sock');
    const dead = join(folder, 'dead.sock');
    const link = join(folder, 'link.sock');
    await writeFile(plain, 'left over');
    await writeFile(join(folder, 'precious'), 'kept');
    await symlink(join(folder, 'precious'), link);
    await deadSocket(dead);
    const { docker, sockets } = await serve({ sockets: [plain, link, dead] });
    expect((await docker.call('Plugin.Activate')).status).toBe(200);
    for (const path of sockets) expect((await stat(path)).isSocket()).toBe(true);
    expect(await readFile(join(folder, 'precious'), 'utf8')).toBe('kept');
  });

  test('are opened in order, the one by which Docker takes weft for ready last', async () => {
    const folder = await temporaryFolder();
    const names = ['b.sock', 'a.sock', 'c.sock'];
    const opened = new Set<string>();
    const events = watch(folder, { signal: AbortSignal.timeout(20_000) })[Symbol.asyncIterator]();
    // The watch begins with its first `next`.
    let event = events.next();
    await serve({ sockets: names.map((name) => join(folder, name)) });
    for (; opened.size < names.length; event = events.next()) {
      opened.add(String((await event).value?.filename));
    }
    expect([...opened]).toEqual(names);
  });

  test('that cannot be opened are left out and logged', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'file'), '');
    const bad = join(folder, 'file', 'weft.sock');
    const { docker, lines } = await serve({ sockets: [bad, join(folder, 'weft.sock')] });
    expect((await docker.call('Plugin.Activate')).status).toBe(200);
    expect(lines[0]).toMatchObject({
      level: 'warn',
      fields: { socket: bad, error: expect.stringContaining(bad) },
    });
  });

  test('of which none can be opened are an error that names each', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'file'), '');
    const bad = join(folder, 'file', 'weft.sock');
    const refused = serve({ sockets: [bad] });
    await expect(refused).rejects.toThrow(WeftError);
    expect(explain(await refused.catch((error: unknown) => error))).toContain(bad);
  });

  test('closing lets a running call answer, then nothing is left', async () => {
    const { docker, calls, server, sockets } = await serve();
    const gate = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    calls.before = () => {
      entered.resolve();
      return gate.promise;
    };
    const running = docker.call('NetworkDriver.DeleteNetwork', { NetworkID: network });
    await entered.promise;
    const closed = server.close();
    const late = new DockerClient(sockets[0] ?? '');
    await expect(late.call('Plugin.Activate')).rejects.toThrow(/ENOENT|ECONNREFUSED/);
    gate.resolve();
    expect((await running).body).toEqual({});
    await closed;
  });
});

/** A socket file whose process has died: a second name for one that closed, which removes only the first. */
async function deadSocket(path: string): Promise<void> {
  const folder = `${path}.d`;
  await mkdir(folder);
  const server = createServer();
  await new Promise<void>((listening) => server.listen(join(folder, 'x'), listening));
  await link(join(folder, 'x'), path);
  await new Promise((closed) => server.close(closed));
  await rm(folder, { recursive: true });
}
