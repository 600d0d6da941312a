/** What is tried, a line each. */
import { setTimeout as pause } from 'node:timers/promises';
import {
  cutOff,
  dockerdKilled,
  dockerdStopped,
  etcdFrozen,
  etcdFull,
  etcdKilled,
  etcdWiped,
  type Fault,
  filterDeleted,
  foreignDropped,
  historyCompacted,
  leaderKilled,
  leaderMoved,
  powerLost,
  recordDamaged,
  routesDeleted,
  segmentEntriesDeleted,
  uplinkMoved,
  weftDisabled,
  weftFrozen,
  weftKilled,
  weftKilledTwice,
} from '../../fault/faults.ts';
import type { Host } from '../../lab/host.ts';
import type { Lab } from '../../lab/lab.ts';
import { waitFor } from '../../lab/wait.ts';

export interface Trial {
  /** For the command line. */
  readonly id: string;
  readonly fault: (place: Place) => Fault;
  /** How long it lasts; the clock starts when it is taken back. Absent: when it is there, which it stays. */
  readonly lasts?: (place: Place) => Promise<unknown>;
  /** Packets are to go another way: what was in the kernels need not be there again. */
  readonly otherWay?: true;
  /** The containers of the struck host end, and start anew: none is there to ping from meanwhile. */
  readonly startsAnew?: true;
}

export interface Place {
  readonly lab: Lab;
  /** The one that is struck, if a single one is. */
  readonly host: Host;
}

const none: Fault = { name: 'nothing, for comparison', strike: async () => async () => {} };

const noTime = async () => {};
const twoSeconds = () => pause(2_000);
/** More than weft waits for an answer of the store. */
const fiveSeconds = () => pause(5_000);
const tenSeconds = () => pause(10_000);
const aMinute = () => pause(60_000);

const forAMinute = (fault: Fault): Fault => ({ ...fault, name: `${fault.name} for a minute` });

async function encapsulates({ host }: Place): Promise<void> {
  await waitFor(`${host.name} encapsulates`, async () => {
    return (await host.exec(['ip', 'route', 'show', 'proto', '119'])).includes('dev weft-l3');
  });
}

export const trials: readonly Trial[] = [
  { id: 'nothing', fault: () => none },
  { id: 'killed', fault: ({ host }) => weftKilled(host) },
  { id: 'killed-twice', fault: ({ host }) => weftKilledTwice(host), lasts: noTime },
  { id: 'frozen', fault: ({ host }) => weftFrozen(host), lasts: fiveSeconds },
  { id: 'disabled', fault: ({ host }) => weftDisabled(host), lasts: twoSeconds },
  { id: 'disabled-long', fault: ({ host }) => forAMinute(weftDisabled(host)), lasts: aMinute },
  { id: 'routes', fault: ({ host }) => routesDeleted(host) },
  { id: 'filter', fault: ({ host }) => filterDeleted(host) },
  { id: 'entries', fault: ({ host }) => segmentEntriesDeleted(host) },
  { id: 'etcd-killed', fault: ({ lab }) => etcdKilled(lab), lasts: fiveSeconds },
  { id: 'etcd-frozen', fault: ({ lab }) => etcdFrozen(lab), lasts: fiveSeconds },
  { id: 'leader-killed', fault: ({ lab }) => leaderKilled(lab) },
  { id: 'leader-moved', fault: ({ lab }) => leaderMoved(lab) },
  { id: 'compacted', fault: ({ lab, host }) => historyCompacted(lab, host), lasts: tenSeconds },
  { id: 'full', fault: ({ lab }) => etcdFull(lab), lasts: fiveSeconds },
  { id: 'wiped', fault: ({ lab }) => etcdWiped(lab) },
  { id: 'record', fault: ({ lab }) => recordDamaged(lab) },
  { id: 'cut-off', fault: ({ lab, host }) => cutOff(lab, host), lasts: tenSeconds },
  { id: 'moved', fault: ({ host }) => uplinkMoved(host), otherWay: true },
  { id: 'dropped', fault: ({ lab, host }) => foreignDropped(lab, host), otherWay: true },
  { id: 'passes', fault: ({ lab, host }) => foreignDropped(lab, host), lasts: encapsulates },
  { id: 'daemon-killed', fault: ({ host }) => dockerdKilled(host), lasts: twoSeconds, startsAnew: true },
  { id: 'daemon-stopped', fault: ({ host }) => dockerdStopped(host), lasts: twoSeconds, startsAnew: true },
  { id: 'power', fault: ({ host }) => powerLost(host), lasts: twoSeconds, startsAnew: true },
];
