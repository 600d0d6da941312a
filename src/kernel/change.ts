/** What a change is about: which kernel object, and in which words. */
import { allOtherMacs, type Change } from './state.ts';

/** Two changes with one key are about the same object of the kernel. */
export function keyOf(change: Change): string {
  switch (change.kind) {
    case 'link':
      return `link ${change.object.name}`;
    case 'address':
    case 'neighbour':
      return `${change.kind} ${change.object.link} ${change.object.address}`;
    case 'route':
      return `route ${change.object.table ?? 'main'} ${change.object.destination}`;
    case 'rule': {
      const { family, priority, table, from, to, inputLink, mark } = change.object;
      return `rule ${family} ${priority} ${table} ${from} ${to} ${inputLink} ${mark}`;
    }
    case 'shortcut':
      return `shortcut ${change.object.link}`;
    case 'port':
    case 'prefix':
      return `${change.kind} ${change.object.destination}`;
    case 'fdb': {
      const entry = change.object;
      const oneOfMany = entry.table === 'self' && entry.mac === allOtherMacs;
      return `fdb ${entry.link} ${entry.table} ${entry.mac} ${oneOfMany ? entry.vtep : ''}`;
    }
  }
}

/** `route 10.77.0.64/26 via 10.9.0.2`. */
export function describe(change: Change): string {
  switch (change.kind) {
    case 'link': {
      const { kind, name, master } = change.object;
      return `${kind} ${name}${master === undefined ? '' : ` of bridge ${master}`}`;
    }
    case 'address':
      return `address ${change.object.address} of ${change.object.link}`;
    case 'route': {
      const { type, destination, via, link, mtu, table } = change.object;
      const how = type === 'unreachable' ? 'unreachable ' : '';
      return `${how}route ${destination}${via ? ` via ${via}` : ''}${link ? ` on ${link}` : ''}${mtu ? ` of MTU ${mtu}` : ''}${table ? ` in table ${table}` : ''}`;
    }
    case 'rule': {
      const { priority, table, from, to, inputLink, mark } = change.object;
      const selectors = [
        from ? ` from ${from}` : '',
        to ? ` to ${to}` : '',
        inputLink ? ` entering by ${inputLink}` : '',
        mark ? ` marked ${mark}` : '',
      ];
      return `rule ${priority}${selectors.join('')} to table ${table}`;
    }
    case 'neighbour':
      return `neighbour ${change.object.address} at ${change.object.mac} on ${change.object.link}`;
    case 'shortcut':
      return `shortcut ${change.object.side} at ${change.object.link}`;
    case 'port':
    case 'prefix':
      return `shortcut to ${change.kind} ${change.object.destination} by ${change.object.link}`;
    case 'fdb': {
      const entry = change.object;
      const where = entry.table === 'self' ? `to VTEP ${entry.vtep} on` : 'behind';
      return `forwarding entry ${entry.mac} ${where} ${entry.link}`;
    }
  }
}

/** Links that must exist for the change, by name; a link's own is not among them. */
export function linksNeeded(change: Change): readonly string[] {
  switch (change.kind) {
    case 'link':
      return change.object.master === undefined ? [] : [change.object.master];
    case 'route':
      return change.object.link === undefined ? [] : [change.object.link];
    case 'rule':
      return [];
    case 'address':
    case 'neighbour':
    case 'fdb':
    case 'shortcut':
      return [change.object.link];
    case 'port':
    case 'prefix':
      return change.do === 'put' ? [change.object.link] : [];
  }
}
