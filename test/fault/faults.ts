/** What can befall a cluster: a host, its weft, the etcd that all share, the network between. */
import { rm } from 'node:fs/promises';
import { bothFabrics, pluginName, storeKeys } from '../cluster/cluster.ts';
import { isEnabled, pidOfWeft } from '../cluster/weft-process.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { waitFor } from '../lab/wait.ts';

export interface Fault {
  readonly name: string;
  /** Resolves when it is there, to what takes it back. */
  strike(): Promise<() => Promise<void>>;
}

/** What ends by itself, or by weft. */
const nothing = async () => {};

/** Does so with the data of each member, and starts them again. */
export async function whileEtcdIsStopped(
  { etcd }: Lab,
  act: (folder: string) => Promise<void>,
): Promise<void> {
  await Promise.all(etcd.members.map((member) => member.kill()));
  await Promise.all(etcd.members.map(({ state }) => act(state)));
  await etcd.start();
}

/** All of its members. */
export function etcdKilled({ etcd }: Lab): Fault {
  return {
    name: 'etcd is killed',
    async strike() {
      await Promise.all(etcd.members.map((member) => member.kill()));
      return () => etcd.start();
    },
  };
}

/** All of its members. */
export function etcdFrozen({ etcd }: Lab): Fault {
  return {
    name: 'etcd is frozen',
    async strike() {
      await Promise.all(etcd.members.map((member) => member.freeze()));
      return async () => void (await Promise.all(etcd.members.map((member) => member.thaw())));
    },
  };
}

export function leaderKilled({ etcd }: Lab): Fault {
  return {
    name: 'the etcd member that leads is killed',
    async strike() {
      const { leader } = await etcd.roles();
      await leader.kill();
      return async () => {
        await leader.start();
        await leader.healthy();
      };
    },
  };
}

export function leaderMoved({ etcd }: Lab): Fault {
  return {
    name: 'another etcd member comes to lead',
    async strike() {
      await etcd.moveLeader();
      return nothing;
    },
  };
}

/** It refuses to store more. */
export function etcdFull({ etcd }: Lab): Fault {
  return {
    name: 'etcd is full',
    async strike() {
      await etcd.raiseAlarm();
      return async () => void (await etcd.ctl(['alarm', 'disarm']));
    },
  };
}

/** With all of its members; there when new ones serve. Ends when the hosts have told them all that the old ones held. */
export function etcdWiped(lab: Lab): Fault {
  return {
    name: 'etcd is wiped',
    async strike() {
      const before = await storeKeys(lab);
      await whileEtcdIsStopped(lab, (folder) => rm(folder, { recursive: true }));
      const allIsTold = async () => {
        const now = await storeKeys(lab);
        return before.every((key) => now.includes(key));
      };
      return () => waitFor('all is in the store again', allIsTold, 120_000);
    },
  };
}

/** Among those of a network's containers. */
export function recordDamaged({ etcd }: Lab): Fault {
  const [{ name }] = bothFabrics;
  const key = `/weft/v1/endpoints/${name}/damaged`;
  return {
    name: 'a damaged record is in etcd',
    async strike() {
      await etcd.ctl(['put', key, '{"v":1,']);
      return async () => void (await etcd.ctl(['del', key]));
    },
  };
}

/** The host finds the history gone that it had not yet followed. */
export function historyCompacted(lab: Lab, host: Host): Fault {
  return {
    name: `etcd compacts its history while ${host.name} is cut off from it`,
    async strike() {
      await lab.cutOff(
        host.name,
        lab.etcd.members.map(({ port }) => port.name),
      );
      await lab.etcd.ctl(['put', '/elsewhere', 'to have a history']);
      const { header } = JSON.parse(await lab.etcd.ctl(['get', '/elsewhere', '--write-out=json']));
      await lab.etcd.ctl(['compact', String(header.revision)]);
      return () => lab.heal(host.name);
    },
  };
}

export function cutOff(lab: Lab, { name }: Host): Fault {
  return {
    name: `${name} is cut off`,
    async strike() {
      await lab.cutOff(name);
      return () => lab.heal(name);
    },
  };
}

export function cableLost(lab: Lab, { name }: Host): Fault {
  return {
    name: `${name} loses its cable`,
    async strike() {
      await lab.setCarrier(name, 'down');
      return () => lab.setCarrier(name, 'up');
    },
  };
}

/** The network begins to drop what the host sends with addresses of containers. */
export function foreignDropped(lab: Lab, { name }: Host): Fault {
  return {
    name: `addresses of containers from ${name} are dropped on the way`,
    async strike() {
      await lab.guard(name);
      return () => lab.unguard(name);
    },
  };
}

/** It has none for a second, as when a DHCP client does it. */
export function uplinkMoved(host: Host): Fault {
  const other = '10.9.1.77';
  const move = async (from: string, to: string) =>
    void (await host.exec([
      ...['sh', '-ec'],
      `ip address del ${from}/24 dev eth0; sleep 1; ip address add ${to}/24 dev eth0; ip route add default via 10.9.1.254`,
    ]));
  return {
    name: `${host.name} gets another address`,
    async strike() {
      await move(host.address, other);
      return () => move(other, host.address);
    },
  };
}

export function weftKilled(host: Host): Fault {
  return {
    name: `${host.name}: weft is killed`,
    async strike() {
      await host.exec(['kill', '-KILL', await pidOfWeft(host)]);
      return nothing;
    },
  };
}

/** In the second after its start. Docker gives it up then and disables it, or starts it again after half a minute. */
export function weftKilledTwice(host: Host): Fault {
  return {
    name: `${host.name}: weft is killed as soon as it is started again`,
    async strike() {
      const killed: string[] = [];
      const runs = async () => !killed.includes(await pidOfWeft(host));
      for (let times = 0; times < 2; times += 1) {
        await waitFor('weft runs', runs);
        killed.push(await pidOfWeft(host));
        await weftKilled(host).strike();
      }
      const isDecided = async () => !(await isEnabled(host)) || (await runs());
      await waitFor('Docker gives weft up, or starts it again', isDecided, 60_000);
      return async () => {
        if (!(await isEnabled(host))) await host.docker(['plugin', 'enable', pluginName]);
      };
    },
  };
}

export function weftFrozen(host: Host): Fault {
  return {
    name: `${host.name}: weft is frozen`,
    async strike() {
      const pid = await pidOfWeft(host);
      await host.exec(['kill', '-STOP', pid]);
      return async () => void (await host.exec(['kill', '-CONT', pid]));
    },
  };
}

export function weftDisabled(host: Host): Fault {
  return {
    name: `${host.name}: weft is disabled`,
    async strike() {
      await host.docker(['plugin', 'disable', '--force', pluginName]);
      return async () => void (await host.docker(['plugin', 'enable', pluginName]));
    },
  };
}

function spoiled(host: Host, what: string, script: string): Fault {
  return {
    name: `${host.name}: ${what}`,
    async strike() {
      await host.exec(['sh', '-c', script]);
      return nothing;
    },
  };
}

export const routesDeleted = (host: Host) => spoiled(host, 'routes are deleted', 'ip route flush proto 119');

export const filterDeleted = (host: Host) =>
  spoiled(host, 'the packet filter is deleted', 'nft delete table inet weft');

export const segmentEntriesDeleted = (host: Host) =>
  spoiled(
    host,
    'the entries of segments are deleted',
    `for n in /run/netns/weft-*; do
       nsenter --net=$n ip neighbour flush nud permanent
       nsenter --net=$n bridge fdb show dev weft-vx | grep ' dst ' | while read mac rest; do
         nsenter --net=$n bridge fdb del $mac dev weft-vx self
         nsenter --net=$n bridge fdb del $mac dev weft-vx master
       done
     done; true`,
  );

export function dockerdKilled(host: Host): Fault {
  return {
    name: `${host.name}: dockerd is killed`,
    async strike() {
      await host.killDockerd();
      return () => host.startDockerd();
    },
  };
}

export function dockerdStopped(host: Host): Fault {
  return {
    name: `${host.name}: dockerd is stopped`,
    async strike() {
      await host.stopDockerd();
      return () => host.startDockerd();
    },
  };
}

export function powerLost(host: Host): Fault {
  return {
    name: `${host.name} loses power`,
    async strike() {
      await host.powerCut();
      return () => host.boot();
    },
  };
}
