/**
 * Endpoints that Docker has lost. A daemon that has crashed ends the containers that it finds at its next start, and
 * tells that only to the drivers that it has loaded by then: of a plugin it loads them when it first needs them
 * (moby libnetwork/endpoint.go, deleteEndpoint with force; network.go, driver). No Leave and no DeleteEndpoint come for
 * such an endpoint, and the settlement would take it back at two looks. But the container may be started again at
 * once, with the address that it had.
 */
import type { Log } from '../log.ts';
import type { Clock } from '../store/clock.ts';
import type { EndpointKey } from './calls.ts';
import type { Ledger, LedgerEndpoint } from './ledger.ts';

export interface LostEndpointParts {
  readonly ledger: Pick<Ledger, 'endpoints'>;
  readonly isLinked: (endpoint: LedgerEndpoint) => Promise<boolean>;
  /** Whether a Join has begun, and not ended. */
  readonly isJoining: (endpointId: string) => boolean;
  /** Whether a Join has come since weft started. */
  readonly hasJoined: (endpointId: string) => boolean;
  /** Whether its link waits for Docker to take it. */
  readonly isUntaken: (endpoint: LedgerEndpoint) => Promise<boolean>;
  readonly keepsSandbox: (sandbox: string) => boolean;
  /** Makes whatever of weft is in the sandbox leave it. */
  readonly leaveSandbox: (sandbox: string) => void;
  readonly deleteEndpoint: (key: EndpointKey) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Finishes what Docker has left undone of those that are lost, among the endpoints asked for. */
export type GiveUpLost = (isAskedFor: (endpoint: LedgerEndpoint) => boolean) => Promise<void>;

/** So long it may take the kernel to end a namespace that nobody keeps any more, or Docker to take a link. */
const endMs = 3_000;
const lookMs = 20;

export function lostEndpoints(parts: LostEndpointParts): GiveUpLost {
  const { ledger, isLinked, isJoining, hasJoined, isUntaken } = parts;
  const { keepsSandbox, leaveSandbox, deleteEndpoint, clock, log } = parts;

  /**
   * Whether no container has it any more, nor will: it was joined, and its link is gone. As long as there is a link, it
   * is a container's, whatever is known of the sandbox; but where Docker does not keep that, the link may be about to go.
   * Or it was never taken, by a daemon that died between Join and that: as good as gone.
   */
  async function isLost(endpoint: LedgerEndpoint): Promise<boolean> {
    const { id, sandbox } = endpoint;
    if (sandbox === undefined || isJoining(id)) return false;
    const deadlineMs = clock.now() + endMs;
    while (await isLinked(endpoint)) {
      if (keepsSandbox(sandbox)) return false;
      if (clock.now() >= deadlineMs) {
        if (hasJoined(id) || !(await isUntaken(endpoint))) return false;
        break;
      }
      leaveSandbox(sandbox);
      await clock.sleep(lookMs);
    }
    return ledger.endpoints.get(id)?.sandbox === sandbox && !isJoining(id);
  }

  return async (isAskedFor) => {
    for (const endpoint of ledger.endpoints.all().filter(isAskedFor)) {
      if (!(await isLost(endpoint))) continue;
      const { id, network, addresses } = endpoint;
      log.info({ endpoint: id, addresses }, 'gives up an endpoint that Docker has lost');
      await deleteEndpoint({ network, endpoint: id });
    }
  };
}
