import { describe, expect, test } from 'vitest';
import { diff } from '../../../src/kernel/diff.ts';
import { emptyState } from '../../../src/kernel/state.ts';
import { FakeKernel } from '../../fakes/kernel.ts';
import { kernelSuite } from '../../kernel/kernel-suite.ts';
import { routed } from '../../kernel/states.ts';

describe('the fake kernel', () => {
  kernelSuite(async () => {
    const kernel = new FakeKernel();
    return { kernel, takeEnd: (name) => kernel.takeEnd(name), close: async () => {} };
  });

  test('fails once when told to, and only in what it was told', async () => {
    const kernel = new FakeKernel();
    kernel.failNext('route');
    const changes = diff(emptyState, routed);
    await expect(kernel.host.apply(changes)).rejects.toThrow(AggregateError);
    const left = diff(await kernel.host.read(), routed);
    expect(left.map(({ kind }) => kind)).toEqual(['route']);
    await kernel.host.apply(left);
    expect(diff(await kernel.host.read(), routed)).toEqual([]);
  });
});
