/**
 * `--ipam-opt weft.reserve=web=10.77.0.10,db=10.77.0.11`: addresses that no container gets by itself, each by the name
 * of whom it is for. Docker does not tell a container's name when it asks for its address: the container is
 * to be started with `--ip`.
 */
import { WeftError } from '../errors.ts';
import { type Address, parseAddress, printAddress } from './address.ts';

export interface Reserved {
  readonly name: string;
  readonly address: Address;
}

const form = 'a list like web=10.77.0.10,db=10.77.0.11';

/** @throws WeftError `invalid` */
export function parseReserve(text: string): Reserved[] {
  const reserved = text.split(',').map((part) => {
    const [, name, address] = /^\s*([A-Za-z0-9][\w.-]{0,62})=([\da-fA-F.:]+)\s*$/.exec(part) ?? [];
    if (name === undefined || address === undefined) {
      throw new WeftError('invalid', `option weft.reserve=${text} must be ${form}`);
    }
    return { name, address: parseAddress(address) };
  });
  const addresses = reserved.map(({ address }) => printAddress(address));
  const twice = addresses.find((address, index) => addresses.indexOf(address) !== index);
  if (twice === undefined) return reserved;
  throw new WeftError('invalid', `option weft.reserve names ${twice} twice; an address is for one`);
}
