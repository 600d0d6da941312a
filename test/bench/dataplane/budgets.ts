/** What weft sets itself to reach, and whether a run shows it; pure. */
import { type MeasureName, measures } from './measures.ts';
import { type Report, ratio } from './report.ts';

/** A limit to the ratio of a subject's figure to a reference's: for what is better the more the least, else the most. */
interface Budget {
  readonly condition: string;
  readonly subject: string;
  readonly measure: MeasureName;
  readonly reference: string;
  readonly limit: number;
}

const budgets: readonly Budget[] = [
  { condition: 'offload', subject: 'routed', measure: 'tcp1', reference: 'raw', limit: 0.7 },
  { condition: 'offload', subject: 'routed', measure: 'tcp1', reference: 'hand-made', limit: 0.97 },
  { condition: 'offload', subject: 'routed', measure: 'tcp1', reference: 'overlay', limit: 1.4 },
  { condition: 'offload', subject: 'routed', measure: 'packets', reference: 'raw', limit: 0.6 },
  { condition: 'offload', subject: 'routed', measure: 'packets', reference: 'overlay', limit: 1.4 },
  { condition: 'offload', subject: 'routed', measure: 'cpu', reference: 'overlay', limit: 0.7 },
  { condition: 'offload', subject: 'vxlan', measure: 'tcp1', reference: 'overlay', limit: 1.05 },
  { condition: 'offload', subject: 'vxlan', measure: 'packets', reference: 'overlay', limit: 1.15 },
  { condition: 'offload', subject: 'vxlan', measure: 'rtt', reference: 'overlay', limit: 1.05 },
  { condition: 'offload', subject: 'routed-10000', measure: 'packets', reference: 'routed', limit: 0.8 },
  { condition: 'no-offload', subject: 'routed', measure: 'tcp1', reference: 'raw', limit: 0.75 },
  { condition: 'no-offload', subject: 'routed', measure: 'tcp1', reference: 'overlay', limit: 4 },
  { condition: 'jumbo', subject: 'routed', measure: 'tcp1', reference: 'overlay', limit: 1.8 },
  { condition: 'jumbo', subject: 'vxlan', measure: 'tcp1', reference: 'overlay', limit: 1.8 },
  { condition: 'jumbo-no-offload', subject: 'routed', measure: 'tcp1', reference: 'overlay', limit: 1.8 },
  { condition: 'jumbo-no-offload', subject: 'vxlan', measure: 'tcp1', reference: 'overlay', limit: 1.8 },
];

/** A line for each budget whose two figures the run has. */
export function renderBudgets(report: Report): string[] {
  return budgets.flatMap(({ condition, subject, measure, reference, limit }) => {
    const stage = report.stages.find((candidate) => candidate.condition === condition);
    const reached = stage && ratio(stage, subject, reference, measure);
    if (reached === undefined) return [];
    const isMore = measures[measure].better === 'more';
    const verdict = (isMore ? reached >= limit : reached <= limit) ? 'met   ' : 'MISSED';
    const rule = `${isMore ? '>=' : '<='} ${limit}`;
    return [
      `${verdict}  ${condition}: ${subject} v. ${reference}, ${measures[measure].title}: ${reached.toFixed(2)}, ${rule}`,
    ];
  });
}
