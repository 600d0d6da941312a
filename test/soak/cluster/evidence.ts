/** What a cluster that is not whole looks like, for who is to find out why. */
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { explain } from '../../../src/errors.ts';
import { weft } from '../../cluster/weft-command.ts';
import type { Host } from '../../lab/host.ts';
import type { Lab } from '../../lab/lab.ts';

/** Of each log, the end. */
const logLines = '20000';

/** @returns the folder that has it, which stays */
export async function keepEvidence(lab: Lab, seed: number): Promise<string> {
  const folder = join(tmpdir(), `weft-soak-${seed}`);
  await mkdir(folder, { recursive: true });
  const keep = async (name: string, look: () => Promise<string>) =>
    writeFile(join(folder, name), await look().catch(explain));
  await keep('etcd', () => lab.etcd.ctl(['get', '--prefix', '/weft/']));
  for (const host of lab.hosts) {
    for (const [name, look] of Object.entries(looksAt(host))) await keep(`${host.name}-${name}`, look);
  }
  return folder;
}

function looksAt(host: Host): Record<string, () => Promise<string>> {
  const links = 'ip -d link; for n in /run/netns/weft-*; do echo $n; nsenter --net=$n ip -d link; done';
  return {
    containers: () => host.docker(['ps', '--all', '--no-trunc']),
    inspect: () => host.exec(['sh', '-c', 'docker inspect $(docker ps --all --quiet)']),
    networks: () => host.exec(['sh', '-c', 'docker network inspect $(docker network ls --quiet)']),
    check: async () => (await weft(host, 'check')).text,
    links: () => host.exec(['sh', '-c', links]),
    log: () => host.exec(['tail', '-n', logLines, '/var/log/dockerd.log']),
  };
}
