import { EVENT_ID, SCALAR_STYLE, YAMLException, getScalarValue, parseEvents, type Event } from "js-yaml";
import { lineCounter } from "./line-counter.ts";

/** What YAML wrote, before anybody said what type it should be: scalars keep their text. */
export type Node = Scalar | List | Mapping;

export interface Scalar {
  readonly kind: "scalar";
  readonly text: string;
  /** Written without quotes, so that `~` and `null` mean nothing at all. */
  readonly plain: boolean;
  readonly line: number;
}

export interface List {
  readonly kind: "list";
  readonly items: readonly Node[];
  readonly line: number;
}

/** A map with all that its `<<` keys included; what is written in it wins. */
export interface Mapping {
  readonly kind: "map";
  readonly entries: ReadonlyMap<string, Entry>;
  readonly line: number;
}

export interface Entry {
  readonly value: Node;
  /** Where the key is written. */
  readonly line: number;
  /** The key of the outermost map below which the entry is written, wherever `<<` and aliases carried it. */
  readonly home: string;
}

/** Something that is wrong with the YAML itself. */
export interface Flaw {
  readonly line: number;
  readonly problem: string;
  readonly remedy: string;
}

/**
 * Reads one YAML document. `root` is undefined when nothing is written or the syntax is broken (then `flaws` says so).
 * Aliases share nodes and nothing can contain itself, so that small files stay small trees.
 */
export function parseTree(source: string): { readonly root: Node | undefined; readonly flaws: readonly Flaw[] } {
  try {
    return new Composer(source, parseEvents(source, { maxDepth: 50 })).document();
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const flaw = {
      line: (error.mark?.line ?? 0) + 1,
      // What follows a colon or stands in quotes is taken from the file, and may be a secret.
      problem: `is no YAML: ${error.reason.replace(/:.*|".*"/s, "").trim()}`,
      remedy: "Correct the syntax here or just above: indentation, quotes, brackets, a space after each colon.",
    };
    return { root: undefined, flaws: [flaw] };
  }
}

/** Whether a scalar says that there is no value: `~`, `null` or nothing, without quotes. */
export function isNull(node: Node): boolean {
  return node.kind === "scalar" && node.plain && /^(~|null|)$/i.test(node.text);
}

/** So many entries may be copied by `<<` in all; the largest sample of the original needs about 500. */
const mergeLimit = 50_000;

const standardTags = /^!!(str|int|float|bool|null|seq|map|merge)$|^!$/;

class Composer {
  readonly #source: string;
  readonly #events: readonly Event[];
  readonly #lineAt: (offset: number) => number;
  /** Nodes by their anchor; undefined while the node is being read. */
  readonly #anchors = new Map<string, Node | undefined>();
  readonly #flaws: Flaw[] = [];
  #next = 0;
  #merged = 0;

  constructor(source: string, events: readonly Event[]) {
    this.#source = source;
    this.#events = events;
    this.#lineAt = lineCounter(source);
  }

  document(): { root: Node | undefined; flaws: readonly Flaw[] } {
    if (this.#take()?.type !== EVENT_ID.DOCUMENT) return { root: undefined, flaws: [] };
    const root = this.#node(1, undefined);
    this.#take();
    if (this.#next < this.#events.length) {
      this.#flaw(
        root.line,
        "holds more than one YAML document",
        "Keep one, with a flavor for each case, and remove the --- between them.",
      );
    }
    return { root: isNull(root) ? undefined : root, flaws: this.#flaws };
  }

  /** `line` stands for nodes without any text; `home` is undefined in the outermost map. */
  #node(line: number, home: string | undefined): Node {
    const event = this.#take();
    switch (event?.type) {
      case EVENT_ID.ALIAS:
        return this.#alias(event.anchorStart, event.anchorEnd);
      case EVENT_ID.SCALAR: {
        const tag = this.#tag(event.tagStart, event.tagEnd);
        return this.#anchored(event, {
          kind: "scalar",
          text: getScalarValue(this.#source, event),
          plain: event.style === SCALAR_STYLE.PLAIN && tag !== "!!str",
          line: event.valueStart < 0 ? line : this.#lineAt(event.valueStart),
        });
      }
      case EVENT_ID.SEQUENCE: {
        this.#tag(event.tagStart, event.tagEnd);
        this.#open(event);
        const start = this.#lineAt(event.start);
        const items: Node[] = [];
        while (!this.#atEnd()) items.push(this.#node(start, home));
        this.#take();
        return this.#anchored(event, { kind: "list", items, line: start });
      }
      case EVENT_ID.MAPPING: {
        this.#tag(event.tagStart, event.tagEnd);
        this.#open(event);
        const start = this.#lineAt(event.start);
        const entries = this.#entries(start, home);
        return this.#anchored(event, { kind: "map", entries, line: start });
      }
      case EVENT_ID.DOCUMENT:
      case EVENT_ID.POP:
      case undefined:
        return { kind: "scalar", text: "", plain: true, line };
    }
  }

  #entries(start: number, home: string | undefined): Map<string, Entry> {
    const entries = new Map<string, Entry>();
    const included: Node[] = [];
    while (!this.#atEnd()) {
      const key = this.#node(start, home);
      const name = key.kind === "scalar" ? key.text : "";
      const value = this.#node(key.line, home ?? name);
      if (key.kind !== "scalar") {
        this.#flaw(key.line, "has a list or a map as a key", "Write a name before the colon.");
      } else if (name === "<<" && key.plain) {
        included.push(value);
      } else if (entries.has(name)) {
        this.#flaw(key.line, `says ${name} twice in the same map`, "Keep one of the two.");
      } else {
        entries.set(name, { value, line: key.line, home: home ?? name });
      }
    }
    this.#take();
    for (const node of included) {
      for (const each of node.kind === "list" ? node.items : [node]) this.#include(each, entries);
    }
    return entries;
  }

  #include(node: Node, entries: Map<string, Entry>): void {
    if (isNull(node)) return;
    if (node.kind !== "map") {
      this.#flaw(
        node.line,
        "includes something that is no map with <<",
        "Name the anchor of a map, such as <<: *common.",
      );
      return;
    }
    this.#merged += node.entries.size + 1;
    if (this.#merged > mergeLimit) {
      const known = this.#flaws.some((flaw) => flaw.problem.startsWith("includes so much"));
      if (!known) this.#flaw(node.line, "includes so much with << that it can't be meant", "Include less.");
      return;
    }
    for (const [name, entry] of node.entries) if (!entries.has(name)) entries.set(name, entry);
  }

  #alias(start: number, end: number): Node {
    const name = this.#source.slice(start, end);
    const line = this.#lineAt(start);
    const node = this.#anchors.get(name);
    if (node) return node;
    // A name is not repeated: it may be a password that begins with an asterisk.
    if (this.#anchors.has(name)) this.#flaw(line, "uses an anchor within what it stands for", "Use it after its end.");
    else {
      const remedy = "Write the anchor before it is used, or put quotes around a text that begins with an asterisk.";
      this.#flaw(line, "uses an anchor that is not there", remedy);
    }
    return { kind: "scalar", text: "", plain: true, line };
  }

  #open(event: Anchored): void {
    if (event.anchorStart >= 0) this.#anchors.set(this.#source.slice(event.anchorStart, event.anchorEnd), undefined);
  }

  #anchored<T extends Node>(event: Anchored, node: T): T {
    if (event.anchorStart >= 0) this.#anchors.set(this.#source.slice(event.anchorStart, event.anchorEnd), node);
    return node;
  }

  #tag(start: number, end: number): string {
    const tag = start < 0 ? "" : this.#source.slice(start, end);
    if (tag !== "" && !standardTags.test(tag)) {
      const remedy = "Remove it, or put quotes around a text that begins with an exclamation mark.";
      this.#flaw(this.#lineAt(start), "has a YAML tag", remedy);
    }
    return tag === "!" ? "!!str" : tag;
  }

  #flaw(line: number, problem: string, remedy: string): void {
    this.#flaws.push({ line, problem, remedy });
  }

  #take(): Event | undefined {
    return this.#events[this.#next++];
  }

  #atEnd(): boolean {
    const event = this.#events[this.#next];
    return event === undefined || event.type === EVENT_ID.POP;
  }
}

interface Anchored {
  readonly anchorStart: number;
  readonly anchorEnd: number;
}
