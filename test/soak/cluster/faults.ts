/** What is done to a cluster at random: to a host, or to the etcd that all share. */
import { pidOfWeft } from '../../cluster/weft-process.ts';
import type { Host } from '../../lab/host.ts';
import type { Lab } from '../../lab/lab.ts';

export interface Fault {
  readonly name: string;
  /** Resolves when it is there, to what takes it back. */
  strike(): Promise<() => Promise<void>>;
}

/** What ends by itself, or by weft. */
const nothing = async () => {};

/** Those that can befall the etcd. */
export function faultsOfStore({ etcd }: Lab): Fault[] {
  return etcd.members.flatMap((member) => [
    {
      name: 'etcd is killed',
      async strike() {
        await member.kill();
        return () => member.start();
      },
    },
    {
      name: 'etcd is frozen',
      async strike() {
        await member.freeze();
        return () => member.thaw();
      },
    },
  ]);
}

/** Those that a host and the weft on it survive. */
export function faultsAround(lab: Lab, host: Host): Fault[] {
  const spoil = (name: string, script: string): Fault => ({
    name: `${host.name}: ${name}`,
    async strike() {
      await host.exec(['sh', '-c', script]);
      return nothing;
    },
  });
  return [
    {
      name: `${host.name} is cut off`,
      async strike() {
        await lab.cutOff(host.name);
        return () => lab.heal(host.name);
      },
    },
    {
      name: `${host.name} loses its cable`,
      async strike() {
        await lab.setCarrier(host.name, 'down');
        return () => lab.setCarrier(host.name, 'up');
      },
    },
    {
      name: `${host.name}: weft is frozen`,
      async strike() {
        const pid = await pidOfWeft(host);
        await host.exec(['kill', '-STOP', pid]);
        return async () => void (await host.exec(['kill', '-CONT', pid]));
      },
    },
    spoil('routes are deleted', 'ip route flush proto 119'),
    spoil('the packet filter is deleted', 'nft delete table inet weft'),
    spoil(
      'the entries of segments are deleted',
      'for n in /run/netns/weft-*; do nsenter --net=$n ip neighbour flush nud permanent; done; true',
    ),
  ];
}

/** Those that take the weft of a host along. */
export function faultsOf(host: Host): Fault[] {
  return [
    {
      name: `${host.name}: weft is killed`,
      async strike() {
        await host.exec(['kill', '-KILL', await pidOfWeft(host)]);
        return nothing;
      },
    },
    {
      name: `${host.name}: dockerd is killed`,
      async strike() {
        await host.killDockerd();
        return () => host.startDockerd();
      },
    },
    {
      name: `${host.name}: dockerd is stopped`,
      async strike() {
        await host.stopDockerd();
        return () => host.startDockerd();
      },
    },
    {
      name: `${host.name} loses power`,
      async strike() {
        await host.powerCut();
        return () => host.boot();
      },
    },
  ];
}
