/** Processes of the plugin, as the host numbers them; Docker starts another when one has died. */
import type { Host } from '../lab/host.ts';
import { pluginName } from './cluster.ts';

/** Those whose command begins like that, the oldest first. */
export async function pidsOf(host: Host, command: string): Promise<string[]> {
  const output = await host.exec(['sh', '-c', `pgrep --full '^${command}' || true`]);
  return output.split('\n').filter((pid) => pid !== '');
}

export const weftPids = (host: Host) => pidsOf(host, 'node /opt/weft/weft.js');

export async function pidOfWeft(host: Host): Promise<string> {
  const [pid] = await weftPids(host);
  if (pid === undefined) throw new Error(`weft does not run on ${host.name}`);
  return pid;
}

/** Docker disables a plugin that ends as soon as it is started. */
export async function isEnabled(host: Host): Promise<boolean> {
  const format = '--format={{.Enabled}}';
  return (await host.docker(['plugin', 'inspect', format, pluginName])).trim() === 'true';
}
