/** All rows. */
import { addresses } from './addresses.ts';
import type { Behaviour } from './behaviour.ts';
import { connections } from './connections.ts';
import { daemon } from './daemon.ts';
import { names } from './names.ts';
import { networks } from './networks.ts';
import { traffic } from './traffic.ts';

export const behaviours: readonly Behaviour[] = [
  ...networks,
  ...connections,
  ...addresses,
  ...names,
  ...traffic,
  ...daemon,
];
