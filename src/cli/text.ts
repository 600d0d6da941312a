/** What weft answers, as text for people. */
import type { RemovedHost } from '../agent/host-removal.ts';
import type { PeerStatus } from '../agent/tending.ts';
import type { CheckReport, RepairReport, Status } from './upkeep.ts';

export function statusText(status: Status, nowMs: number): string {
  const { id, name, uplink, storeConnected, trouble, noShortcut, networks, peers } = status;
  const { leftovers, replication } = status;
  const leaks = Object.entries(leftovers).map(
    ([kind, { found, freed }]) => `${kind} ${found} (${freed} given back)`,
  );
  return lines([
    `host ${name}, id ${id}`,
    uplink === undefined
      ? 'uplink: none found'
      : `uplink: ${uplink.address} on ${uplink.link}, MTU ${uplink.mtu}`,
    `store: ${storeConnected ? 'connected' : 'away'}`,
    ...(trouble === undefined ? [] : [`not ready: ${trouble}`]),
    noShortcut === undefined ? 'shortcut: on' : `shortcut: off, because ${noShortcut}`,
    ...networks.map(
      ({ key, fabric, endpoints }) => `network ${key}: ${fabric}, containers here: ${endpoints}`,
    ),
    ...peers.map((peer) => `host ${peer.name} at ${peer.address}: ${wayTo(peer, nowMs)}`),
    `held for nobody: ${leaks.join(', ')}`,
    `drift repaired: ${status.driftRepaired} changes`,
    ...Object.entries(replication).map(
      ([network, why]) => `network ${network} is not as on other hosts: ${why}`,
    ),
  ]);
}

function wayTo({ alive, direct, reason, since }: PeerStatus, nowMs: number): string {
  const way = direct ? 'direct' : 'encapsulated';
  return `${alive ? '' : 'not heard of; '}${way} for ${ageText(nowMs - Date.parse(since))}, because ${reason}`;
}

function ageText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

export function checkText(report: CheckReport): string {
  return lines([...report.disagreements, ...withoutDocker(report), summaryOf(report)]);
}

export function repairText(report: RepairReport): string {
  return lines([
    ...report.mended.map((sentence) => `mended: ${sentence}`),
    ...report.disagreements.map((sentence) => `left: ${sentence}`),
    ...withoutDocker(report),
    summaryOf(report),
  ]);
}

function summaryOf({ host, disagreements }: CheckReport): string {
  const { length } = disagreements;
  if (length === 0) return `on host ${host}, all agrees`;
  return `on host ${host}, ${length} ${length === 1 ? 'thing does' : 'things do'} not agree`;
}

function withoutDocker({ withoutDocker: reason }: CheckReport): string[] {
  return reason === undefined ? [] : [`Docker was not asked: ${reason}`];
}

export function removalText({ name, id, endpoints, networks, pools, blocks }: RemovedHost): string {
  const had = `endpoints ${endpoints}, networks ${networks}, subnets ${pools}, blocks ${blocks}`;
  return lines([`host ${name} (${id}) is removed, with what was held for it: ${had}`]);
}

function lines(texts: readonly string[]): string {
  return `${texts.join('\n')}\n`;
}
