/** The uplink of this host as it was last found; to be looked for again when the host's network may have changed. */
import { isDeepStrictEqual } from 'node:util';
import { WeftError } from '../errors.ts';
import type { Underlay } from '../fabric/fabric.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Log } from '../log.ts';
import { findUplink, type Uplink } from './underlay.ts';

export interface OwnUplink {
  current(): Uplink | undefined;
  /** @throws WeftError `unavailable` as long as none was found */
  underlay(): Underlay;
  /** @returns whether it is another than the one before. @throws WeftError as `findUplink` */
  find(): Promise<boolean>;
}

export function ownUplink(of: {
  readonly kernel: Kernel;
  readonly hostId: string;
  /** URLs of the store. */
  readonly endpoints: readonly string[];
  /** What the user wants the others to know this host by. */
  readonly wished?: string;
  readonly vxlanPort: number;
  readonly log: Log;
}): OwnUplink {
  const { kernel, hostId, endpoints, wished, vxlanPort, log } = of;
  let uplink: Uplink | undefined;

  return {
    current: () => uplink,

    underlay() {
      if (uplink !== undefined) return { hostId, ...uplink, vxlanPort };
      throw new WeftError(
        'unavailable',
        'this host has no address by which others could reach it; set WEFT_ADDRESS',
      );
    },

    async find() {
      const last = uplink?.address;
      const found = await findUplink(kernel, { endpoints, ...(last && { last }), ...(wished && { wished }) });
      const before = uplink;
      uplink = found;
      if (before === undefined || isDeepStrictEqual(before, found)) return false;
      log.info({ before, ...found }, 'the uplink is another');
      return true;
    },
  };
}
