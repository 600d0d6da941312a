import type { Host } from '../lab/host.ts';

/** What the container is answered, in order of text; `undefined` when the name is refused. */
export async function lookUp(
  host: Host,
  container: string,
  name: string,
  type = 'a',
): Promise<readonly string[] | undefined> {
  // It would ask for 5 s what nobody answers.
  const look = ['exec', container, 'nslookup', '-timeout=2', `-type=${type}`, name];
  const output = await host.docker(look).catch(() => undefined);
  if (output === undefined) return undefined;
  const [, answer = ''] = output.split('127.0.0.11:53\n');
  const found = answer.matchAll(/^(?:Address: |.*\tname = )(.*)$/gm);
  return Array.from(found, ([, data = '']) => data).toSorted();
}
