import type { Fabric } from './fabric.ts';
import { routed } from './routed.ts';
import { vxlan } from './vxlan.ts';

/** The fabrics there are. A new one is one file and one entry here. */
export const fabrics: ReadonlyMap<string, Fabric> = new Map(
  [routed, vxlan].map((fabric) => [fabric.name, fabric]),
);

export const defaultFabric = routed.name;
