import { WeftError } from '../errors.ts';

/**
 * A request refused before any driver heard of it. Docker takes no answer with such a status for a result,
 * and shows the sentence behind the method's name.
 */
export class Refusal extends WeftError {
  readonly statusCode: 400 | 404;

  constructor(statusCode: 400 | 404, sentence: string) {
    super('invalid', sentence);
    this.statusCode = statusCode;
  }
}
