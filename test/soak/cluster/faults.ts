/** What is done to a cluster at random: to a host, or to the etcd that all share. */
import {
  cableLost,
  cutOff,
  dockerdKilled,
  dockerdStopped,
  etcdFrozen,
  etcdKilled,
  type Fault,
  filterDeleted,
  powerLost,
  routesDeleted,
  segmentEntriesDeleted,
  weftFrozen,
  weftKilled,
} from '../../fault/faults.ts';
import type { Host } from '../../lab/host.ts';
import type { Lab } from '../../lab/lab.ts';

/** Those that can befall the etcd. */
export function faultsOfStore(lab: Lab): Fault[] {
  return [etcdKilled(lab), etcdFrozen(lab)];
}

/** Those that a host and the weft on it survive. */
export function faultsAround(lab: Lab, host: Host): Fault[] {
  return [
    ...[cutOff(lab, host), cableLost(lab, host), weftFrozen(host)],
    ...[routesDeleted(host), filterDeleted(host), segmentEntriesDeleted(host)],
  ];
}

/** Those that take the weft of a host along. */
export function faultsOf(host: Host): Fault[] {
  return [weftKilled(host), dockerdKilled(host), dockerdStopped(host), powerLost(host)];
}
