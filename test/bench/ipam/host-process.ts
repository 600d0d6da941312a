/** A host in a process of its own, and what several of them measure at the same time. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Answer, Figures, Order } from './orders.ts';

export interface HostProcess {
  readonly id: string;
  /** One at a time. @throws Error what the process has failed with */
  tell(order: Order): Promise<Figures>;
  end(): void;
}

/** As the plugin's process has it. */
const nodeOptions = ['--max-semi-space-size=16'];

export function startHost(id: string, endpoint: string): HostProcess {
  const child = fork(join(import.meta.dirname, 'worker.ts'), [id, endpoint], {
    execArgv: [...process.execArgv, ...nodeOptions],
  });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`host ${id} has ended with code ${code}`);
  });
  ended.catch(() => {});
  return {
    id,
    async tell(order) {
      const answering = once(child, 'message');
      child.send(order);
      const answer: Answer = (await Promise.race([answering, ended]))[0];
      if ('failed' in answer) throw new Error(`host ${id}: ${answer.failed}`);
      return answer.figures;
    },
    end: () => child.disconnect(),
  };
}

/** Of all hosts together. */
export interface Together {
  readonly perSecond: number;
  readonly latenciesMs: readonly number[];
  readonly transactions: number;
}

/** Each does its part at the same time. */
export async function tellAll(
  hosts: readonly HostProcess[],
  order: (host: HostProcess) => Order,
): Promise<Together> {
  const all = await Promise.all(hosts.map((host) => host.tell(order(host))));
  const latenciesMs = all.flatMap((figures) => figures.latenciesMs);
  const startedMs = Math.min(...all.map((figures) => figures.startedMs));
  const endedMs = Math.max(...all.map((figures) => figures.endedMs));
  return {
    latenciesMs,
    perSecond: (latenciesMs.length * 1000) / (endedMs - startedMs),
    transactions: all.reduce((sum, figures) => sum + figures.transactions, 0),
  };
}
