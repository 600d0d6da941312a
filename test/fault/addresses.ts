/** Addresses of containers, as Docker has them and as the store does. */
import { records } from '../../src/model/records.ts';
import { addressOf, bothFabrics } from '../cluster/cluster.ts';
import type { Lab } from '../lab/lab.ts';

/** Of the container on each host that is called as its network, for both. */
export async function inDocker({ hosts }: Lab): Promise<string[]> {
  const pairs = hosts.flatMap((host) => bothFabrics.map(({ name }) => addressOf(host, name, name)));
  return (await Promise.all(pairs)).toSorted();
}

/** Those that hosts have told each other. */
export async function announced(lab: Lab): Promise<string[]> {
  const endpoints = (await valuesBelow(lab, 'endpoints/')).map(records.endpoint.parse);
  return endpoints.flatMap(({ addresses }) => addresses).toSorted();
}

export async function assignedCount(lab: Lab): Promise<number> {
  const blocks = (await valuesBelow(lab, 'unwatched/blocks/')).map(records.block.parse);
  return blocks.flatMap(({ assigned }) => Object.keys(assigned)).length;
}

async function valuesBelow(lab: Lab, folder: string): Promise<string[]> {
  const output = await lab.etcd.ctl(['get', '--prefix', '--print-value-only', `/weft/v1/${folder}`]);
  return output.split('\n').filter((line) => line !== '');
}
