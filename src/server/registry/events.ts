/** What happened in the registry, told after it is durable. `repository` is `namespace/name`. */
export type RegistryEvent =
  | { readonly type: "repository.updated"; readonly repository: string }
  | { readonly type: "repository.deleted"; readonly repository: string };

/** Reacts to events; what it throws is given to the bus's `onError` and hurts nobody else. */
export type Listener = (event: RegistryEvent) => Promise<void>;

/** Carries events from the core to what is derived from it. */
export class Events {
  readonly #listeners: Listener[] = [];
  readonly #onError: (error: unknown, event: RegistryEvent) => void;

  constructor(onError: (error: unknown, event: RegistryEvent) => void) {
    this.#onError = onError;
  }

  listen(listener: Listener): void {
    this.#listeners.push(listener);
  }

  /** Resolves when every listener is done with the event, so that a client's next request sees its effects. */
  async emit(event: RegistryEvent): Promise<void> {
    await Promise.all(
      this.#listeners.map(async (listener) => {
        try {
          await listener(event);
        } catch (error) {
          this.#onError(error, event);
        }
      }),
    );
  }
}
