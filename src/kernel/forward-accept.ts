/**
 * Docker closes the FORWARD chain (policy DROP) on a host whose routing it turned on, and weft's traffic is
 * none that it knows. Two rules let pass what comes from weft's links or goes to them: next after the jump to
 * DOCKER-USER, so that what an administrator says there is heard first, or at the top where there is none.
 *
 * The filter table exists once for each backend of iptables, legacy and nft, and a packet must pass both. Each
 * is asked only if it is in use in this namespace: asking would bring it into being.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Type from 'typebox';
import { Value } from 'typebox/value';
import { linkPrefix } from './mark.ts';
import { run } from './run.ts';
import { inNamespace } from './syscalls.ts';

/** dockerd, kube-proxy and others hold the lock of the legacy backend for moments. */
const lockWaitSeconds = 5;

const tag = 'weft';
const rules = ['-i', '-o'].map(
  (direction) => `${direction} ${linkPrefix}+ -m comment --comment ${tag} -j ACCEPT`,
);

/** IPv4 and IPv6 as iptables has them. */
const families = [
  { program: 'iptables', nftFamily: 'ip', legacyTables: 'ip_tables_names' },
  { program: 'ip6tables', nftFamily: 'ip6', legacyTables: 'ip6_tables_names' },
] as const;

export interface FilterPlace {
  /** `/run` of the host: the legacy backend's lock is there, shared with dockerd. */
  readonly runDir: string;
  readonly namespaceFd: number;
  /** File of the namespace, if not the current one. */
  readonly namespace?: string | undefined;
}

/** Whether the rules are where they belong. @throws WeftError `kernel` */
export async function hasForwardAccept(place: FilterPlace): Promise<boolean> {
  for (const chain of await chainsInUse(place)) {
    if (renderForwardAccept(await listForward(place, chain)).length > 0) return false;
  }
  return true;
}

/** Puts the rules where they belong, once each. Answers whether it had to. @throws WeftError `kernel` */
export async function ensureForwardAccept(place: FilterPlace): Promise<boolean> {
  return amendChains(place, renderForwardAccept);
}

/** @throws WeftError `kernel` */
export async function removeForwardAccept(place: FilterPlace): Promise<void> {
  await amendChains(place, deletions);
}

async function amendChains(
  place: FilterPlace,
  amend: (chain: readonly string[]) => readonly string[],
): Promise<boolean> {
  let changed = false;
  for (const chain of await chainsInUse(place)) {
    const commands = amend(await listForward(place, chain));
    if (commands.length === 0) continue;
    const transaction = ['*filter', ...commands, 'COMMIT', ''].join('\n');
    await iptables(place, [`${chain}-restore`, '--noflush'], transaction);
    changed = true;
  }
  return changed;
}

async function listForward(place: FilterPlace, chain: string): Promise<string[]> {
  return (await iptables(place, [chain, '-S', 'FORWARD'])).split('\n');
}

function iptables(
  place: FilterPlace,
  [program = '', ...args]: readonly string[],
  input?: string,
): Promise<string> {
  return run([program, '-w', String(lockWaitSeconds), ...args], {
    namespace: place.namespace,
    environment: { XTABLES_LOCKFILE: join(place.runDir, 'xtables.lock') },
    ...(input === undefined ? {} : { input }),
  });
}

/** By the program that speaks to each, as `iptables-nft`. */
async function chainsInUse({ namespaceFd, namespace }: FilterPlace): Promise<string[]> {
  const legacy = families.filter(({ legacyTables }) =>
    inNamespace(namespaceFd, () => isListed(`/proc/thread-self/net/${legacyTables}`)),
  );
  const listings = families.map(({ nftFamily }) =>
    run(['nft', '-j', 'list', 'chains', nftFamily], { namespace }),
  );
  const chains = (await Promise.all(listings)).flatMap(
    (json) => Value.Parse(Chains, JSON.parse(json)).nftables,
  );
  const nft = families.filter(({ nftFamily }) =>
    chains.some(
      ({ chain }) => chain?.family === nftFamily && chain.table === 'filter' && chain.name === 'FORWARD',
    ),
  );
  return [...legacy.map(({ program }) => `${program}-legacy`), ...nft.map(({ program }) => `${program}-nft`)];
}

/** The kernel lists the tables of the legacy backend there; no file without its modules. */
function isListed(file: string): boolean {
  return existsSync(file) && readFileSync(file, 'utf8').split('\n').includes('filter');
}

const Chains = Type.Object({
  nftables: Type.Array(
    Type.Object({
      chain: Type.Optional(Type.Object({ family: Type.String(), table: Type.String(), name: Type.String() })),
    }),
  ),
});

/**
 * The commands that put both rules in their place, given `iptables -S FORWARD`; none where they are. Exported
 * for tests: pure.
 */
export function renderForwardAccept(chain: readonly string[]): readonly string[] {
  const appended = chain.filter((line) => line.startsWith('-A '));
  const others = appended.filter((line) => !isOurs(line));
  const place = others.indexOf('-A FORWARD -j DOCKER-USER') + 1;
  const desired = others.toSpliced(place, 0, ...rules.map((rule) => `-A FORWARD ${rule}`));
  if (desired.join('\n') === appended.map(unquoted).join('\n')) return [];
  return [...deletions(chain), ...rules.map((rule, offset) => `-I FORWARD ${place + 1 + offset} ${rule}`)];
}

function deletions(chain: readonly string[]): readonly string[] {
  return chain.filter(isOurs).map((line) => line.replace(/^-A/, '-D'));
}

function isOurs(line: string): boolean {
  return unquoted(line).includes(`--comment ${tag} `);
}

function unquoted(line: string): string {
  return line.replace(`"${tag}"`, tag);
}
