/** Reads a /metrics page: just enough of the exposition format for the benchmarks and tests. */

export type Samples = ReadonlyMap<string, number>;

/** All samples by their full name with labels, as they stand in the text. */
export async function scrape(url: string): Promise<Samples> {
  return samplesIn(await (await fetch(url)).text());
}

export function samplesIn(text: string): Samples {
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const space = line.lastIndexOf(' ');
    samples.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return samples;
}

/** The sum over all label sets of a metric that contain every given label, such as `result="accepted"`. */
export function total(samples: Samples, metric: string, ...labels: readonly string[]): number {
  let sum = 0;
  for (const [name, value] of samples) {
    const matches = name === metric || name.startsWith(`${metric}{`);
    if (matches && labels.every((label) => name.includes(label))) sum += value;
  }
  return sum;
}
