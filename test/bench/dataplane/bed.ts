/**
 * A lab to measure in, under one condition: two hosts with Docker alone, pairs that also have weft, and two bare
 * machines, all on one switch. Each pair has in its kernel only what it is measured with.
 */
import { buildPlugin } from '../../../plugin/build.ts';
import { pluginName } from '../../cluster/cluster.ts';
import type { Host } from '../../lab/host.ts';
import { Lab } from '../../lab/lab.ts';
import { formSwarm } from '../../lab/swarm.ts';
import { namespaceOf, namespacesOf, Underlay } from '../../lab/underlay.ts';
import type { Condition } from './conditions.ts';
import { programsIn, type RunIn } from './programs.ts';
import type { Hosts } from './subjects.ts';

export const docker = '28.5';

export type Pair<T> = readonly [T, T];

export interface Bed extends Readonly<Record<Hosts, Pair<Host>>> {
  readonly lab: Lab;
  /** Files of the bare machines' network namespaces, and an address. */
  readonly bare: Pair<{ readonly netns: string; readonly address: string }>;
  readonly run: RunIn;
}

/** The caller takes the lab down; an interrupt does so too. */
export async function bedUp(condition: Condition): Promise<Bed> {
  const folder = await buildPlugin();
  const name = `bench-${condition.mtu}`;
  const names = ['plain1', 'plain2', 'weft1', 'weft2', 'tunnel1', 'tunnel2', 'segment1', 'segment2'];
  const hosts = names.map((host) => ({ name: host, docker }) as const);
  const lab = await Lab.up({ name, hosts, etcd: { members: 1 }, mtu: condition.mtu });
  try {
    const bed = {
      lab,
      plain: [lab.host('plain1'), lab.host('plain2')],
      weft: [lab.host('weft1'), lab.host('weft2')],
      tunnel: [lab.host('tunnel1'), lab.host('tunnel2')],
      segment: [lab.host('segment1'), lab.host('segment2')],
      bare: [await bareMachine(lab, condition, 1), await bareMachine(lab, condition, 2)],
      run: await programsIn(name),
    } as const;
    await Promise.all([
      formSwarm(bed.plain),
      ...[...bed.weft, ...bed.tunnel, ...bed.segment].map((host) => installWeft(lab, host, folder)),
    ]);
    if (!condition.tunnelOffload) await takeTunnelOffload(bed);
    return bed;
  } catch (error) {
    await lab.down();
    throw error;
  }
}

async function bareMachine(lab: Lab, { mtu }: Condition, index: number) {
  const name = `bare${index}`;
  const number = 100 + index;
  await new Underlay(lab.name, { segments: 1, mtu }).attach({ name, segment: 1, number });
  return { netns: netnsFile(namespaceOf(lab.name, name)), address: `10.9.1.${number}` };
}

/** Without its periodic pass, which is nothing that a network costs. */
async function installWeft(lab: Lab, host: Host, folder: string): Promise<void> {
  const settings = {
    WEFT_ETCD_ENDPOINTS: lab.etcd.endpoints,
    WEFT_RESYNC_SECONDS: '86400',
    WEFT_REPLICATE: 'off',
  };
  await host.installPlugin(folder, pluginName, settings);
}

/** At both ends of each wire. */
async function takeTunnelOffload({ lab, run }: Bed): Promise<void> {
  const off = ['tx-udp_tnl-segmentation', 'off', 'tx-udp_tnl-csum-segmentation', 'off'];
  const hub = namespaceOf(lab.name, 'switch');
  for (const namespace of await namespacesOf(lab.name)) {
    if (namespace === hub) continue;
    await run(netnsFile(namespace), ['ethtool', '--features', 'eth0', ...off]);
    const port = `to-${namespace.slice(namespaceOf(lab.name, '').length)}`;
    await run(netnsFile(hub), ['ethtool', '--features', port, ...off]);
  }
}

const netnsFile = (name: string) => `/run/netns/${name}`;
