import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, rootfs, toolbox } from './rootfs.ts';
import { run } from './run.ts';

/** The image that containers in tests run: busybox, with iperf3, and the full `ip`. */
export const toolsImage = 'weft-lab/tools:1';

/** dash becomes /bin/sh: busybox's own shell would run its applet `ip` whatever PATH says. */
const programs = ['/usr/bin/dash', '/usr/bin/ip', '/usr/bin/iperf3'];
const script = join(import.meta.dirname, 'tools-image.sh');

/** The image as a tar for `docker import`. */
export async function toolsTar(): Promise<string> {
  const root = await rootfs(toolbox);
  const key = { root, programs, script: await readFile(script, 'utf8') };
  return cached('images/tools', key, 'making the tools image', async (tar) => {
    await run(['bash', script, root, tar, ...programs]);
  });
}
