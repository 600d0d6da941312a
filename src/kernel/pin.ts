/**
 * Pins: files that keep a network namespace in being when no process is in it, so that containers keep their
 * traffic while weft is away. They are where `ip netns` looks for them.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { WeftError } from '../errors.ts';
import { namespacePrefix } from './mark.ts';
import { inNamespace, inNewNamespace, pinCurrentNamespace, unmount } from './syscalls.ts';

const NSFS_MAGIC = 0x6e736673;

const bridgeSettings = ['iptables', 'ip6tables', 'arptables'].map(
  (hook) => `/proc/sys/net/bridge/bridge-nf-call-${hook}`,
);

export function pinFile(runDir: string, name: string): string {
  if (!/^weft-[\w.-]+$/.test(name)) {
    throw new WeftError(
      'internal',
      `"${name}" cannot be a namespace of weft's: its name must begin with weft-`,
    );
  }
  return join(runDir, 'netns', name);
}

export function listPins(runDir: string): string[] {
  const folder = join(runDir, 'netns');
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => name.startsWith(namespacePrefix));
}

/** Whether a namespace is mounted on the file: after a reboot, or a crash between two steps, none is. */
export function isPinned(file: string): boolean {
  return existsSync(file) && statfsSync(file).type === NSFS_MAGIC;
}

/** Makes the namespace where there is none. Answers a descriptor of it. */
export function openPinned(file: string): number {
  if (!isPinned(file)) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, '');
    inNewNamespace(() => pinCurrentNamespace(file));
  }
  const fd = openSync(file, 'r');
  try {
    inNamespace(fd, keepBridgesFromNetfilter);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * With br_netfilter loaded (dockerd does), every bridged frame would pass iptables. Loading it switches this
 * on in namespaces that exist already, so it is looked at whenever one is opened.
 */
function keepBridgesFromNetfilter(): void {
  for (const file of bridgeSettings) {
    if (existsSync(file)) writeFileSync(file, '0');
  }
}

/** The namespace itself goes with its last process, link or descriptor. */
export function removePin(file: string): void {
  if (isPinned(file)) unmount(file);
  try {
    rmSync(file, { force: true });
  } catch (cause) {
    throw new WeftError('kernel', `could not remove ${file}, the pin of a namespace`, { cause });
  }
}
