/**
 * Options of a network (`docker network create -o key=value`), from text to typed. One table drives parsing,
 * the error messages and the documentation.
 */
import { WeftError } from '../errors.ts';
import { nearest } from './nearest.ts';
import type { Encap } from './records.ts';

/** What the user asked for; what was left out is decided by the network's record, or by default. */
export interface NetworkOptions {
  readonly network?: string;
  readonly fabric?: string;
  readonly vni?: number;
  readonly mtu?: number;
  readonly isolate?: boolean;
  readonly gateway?: boolean;
  readonly broadcast?: boolean;
  readonly encap?: Encap;
  /** Prefix of the interface's name in the container. */
  readonly interfacePrefix?: string;
  /** False: the network stays on the hosts where the user makes it. */
  readonly replicate?: boolean;
}

interface Option {
  /** Docker's own label of the same meaning. */
  readonly docker?: string;
  readonly expected: string;
  readonly help: string;
  /** Undefined: the text is not of the expected form. */
  readonly parse: (text: string) => NetworkOptions | undefined;
}

export const fabricNames = ['routed', 'vxlan'] as const;
const encaps: readonly Encap[] = ['auto', 'never', 'always'];

const keyPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export const networkOptions: Readonly<Record<string, Option>> = {
  'weft.network': {
    expected: 'a name of at most 63 letters, digits, ".", "_" and "-"',
    help: 'Name that ties the hosts together: networks of the same name are one network. Default: the subnet.',
    parse: (text) => (keyPattern.test(text) ? { network: text } : undefined),
  },
  'weft.fabric': {
    expected: fabricNames.join(' or '),
    help: 'How packets travel: `routed` (layer 3, no encapsulation where none is needed) or `vxlan` (one Ethernet segment). Default: routed.',
    parse: (text) => (fabricNames.some((name) => name === text) ? { fabric: text } : undefined),
  },
  'weft.vni': {
    docker: 'com.docker.network.driver.overlay.vxlanid_list',
    expected: 'one whole number from 1 to 16777215',
    help: 'VXLAN network identifier. Default: a free one, the same on all hosts.',
    parse: (text) => withInteger(text, 1, 0xff_ff_ff, (vni) => ({ vni })),
  },
  'weft.mtu': {
    docker: 'com.docker.network.driver.mtu',
    expected: 'a whole number from 576 to 65535',
    help: "MTU inside containers, in bytes. Default: the uplink's, less what the network always adds.",
    parse: (text) => withInteger(text, 576, 65_535, (mtu) => ({ mtu })),
  },
  'weft.gateway': {
    expected: 'on or off',
    help: "Way out of containers, and their published ports: by weft on the one interface (`on`), or by a second one of Docker's (`off`). Default: off.",
    parse: (text) => withSwitch(text, (gateway) => ({ gateway })),
  },
  'weft.isolate': {
    expected: 'on or off',
    help: '`off`: other routed networks that say so too may be reached. Default: on.',
    parse: (text) => withSwitch(text, (isolate) => ({ isolate })),
  },
  'weft.broadcast': {
    expected: 'on or off',
    help: 'Whether broadcast and multicast reach the containers of a vxlan network, on all hosts. Default: off.',
    parse: (text) => withSwitch(text, (broadcast) => ({ broadcast })),
  },
  'weft.encap': {
    expected: encaps.join(', '),
    help: 'Whether a routed network encapsulates between hosts: `auto` (only where packets do not pass as they are), `never` or `always`. Default: auto.',
    parse: (text) => {
      const encap = encaps.find((known) => known === text);
      return encap === undefined ? undefined : { encap };
    },
  },
  'weft.interface': {
    docker: 'com.docker.network.container_iface_prefix',
    expected: 'a name of at most 12 letters, digits, "-" and "_"',
    help: 'Prefix of the interface name in containers. Default: eth.',
    parse: (text) => (/^[A-Za-z][A-Za-z0-9_-]{0,11}$/.test(text) ? { interfacePrefix: text } : undefined),
  },
  'weft.replicate': {
    expected: 'on or off',
    help: '`off`: the network is not made on the other hosts by itself. Default: on.',
    parse: (text) => withSwitch(text, (replicate) => ({ replicate })),
  },
};

function withInteger<T>(text: string, from: number, to: number, render: (value: number) => T): T | undefined {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  return value >= from && value <= to ? render(value) : undefined;
}

function withSwitch<T>(text: string, render: (value: boolean) => T): T | undefined {
  return text === 'on' || text === 'off' ? render(text === 'on') : undefined;
}

/**
 * Labels that are not weft's are left alone: Docker hands over all of them, meant for it or for others.
 * @throws WeftError `invalid`, naming the option and the nearest valid one, or the form its value must have.
 */
export function parseNetworkOptions(given: Readonly<Record<string, string>>): NetworkOptions {
  let parsed: NetworkOptions = {};
  for (const [name, option] of Object.entries(networkOptions)) {
    for (const label of [option.docker, name]) {
      const text = label === undefined ? undefined : given[label];
      if (text === undefined) continue;
      const value = option.parse(text);
      if (value === undefined) {
        throw new WeftError('invalid', `option ${label}=${text} must be ${option.expected}`);
      }
      parsed = { ...parsed, ...value };
    }
  }
  refuseUnknown(Object.keys(given), Object.keys(networkOptions));
  return parsed;
}

/** @throws WeftError `invalid` for a `weft.*` key that is not among the known. */
export function refuseUnknown(given: readonly string[], known: readonly string[]): void {
  const unknown = given.find((name) => name.startsWith('weft.') && !known.includes(name));
  if (unknown === undefined) return;
  const suggestion = nearest(unknown, known);
  const hint =
    suggestion === undefined ? `the options are ${known.join(', ')}` : `did you mean ${suggestion}?`;
  throw new WeftError('invalid', `there is no option ${unknown}: ${hint}`);
}
