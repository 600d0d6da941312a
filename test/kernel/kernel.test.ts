import { describe } from 'vitest';
import { openHost } from './host.ts';
import { kernelSuite } from './kernel-suite.ts';

describe('the Linux kernel', () => {
  kernelSuite(async () => {
    const host = await openHost();
    host.run('iptables-nft -P FORWARD DROP; ip6tables-nft -P FORWARD DROP');
    return host;
  });
});
