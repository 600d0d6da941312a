/** A run of two rounds, the second on a machine half as fast; the vxlan network was refused. */
import type { Sample } from '../../bench/dataplane/measures.ts';
import type { Report } from '../../bench/dataplane/report.ts';

const sample = (tcp1: number, packets: number): Sample => ({ tcp1, tcp4: tcp1, packets, rtt: 30, cpu: 0.5 });

export const report: Report = {
  machine: { kernel: '6.18', processors: 2, docker: '28.5' },
  seconds: 1,
  stages: [
    {
      condition: 'offload',
      measuredAt: '2026-01-01T00:00:00.000Z',
      rounds: [
        {
          load: 0.5,
          samples: {
            raw: sample(20, 120),
            overlay: sample(10, 50),
            routed: sample(16, 80),
            'routed-10000': sample(16, 72),
          },
        },
        {
          load: 2.5,
          samples: {
            raw: sample(10, 60),
            overlay: sample(5, 25),
            routed: sample(8, 40),
            'routed-10000': sample(8, 20),
          },
        },
      ],
      unavailable: { vxlan: 'there is <no> such fabric' },
    },
  ],
};
