/** All that the first source yields, then the next, and so on. */
export async function* joined<T>(...sources: readonly (Iterable<T> | AsyncIterable<T>)[]): AsyncGenerator<T> {
  for (const source of sources) yield* source;
}
