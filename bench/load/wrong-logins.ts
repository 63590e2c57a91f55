import { randomInt, randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { basic, Connection, requestHead } from "./connection.ts";

/** Guesses at passwords, at a steady pace whatever the server does. */
export interface WrongLoginsJob {
  readonly url: string;
  readonly path: string;
  /** Somebody who has an account. */
  readonly known: string;
  readonly perSecond: number;
  readonly seconds: number;
}

/** How many were refused as wrong, and how many because there were too many. */
export interface WrongLoginsResult {
  readonly unauthorized: number;
  readonly tooMany: number;
}

/** An address of documentation: nobody's. */
const oneAddress = "192.0.2.1";

/**
 * Logs in with passwords that are all different and wrong. By turns they come from one address and from one that never
 * came before, for somebody known and for nobody; the server has to believe X-Forwarded-For. Resolves when all are
 * answered; rejects at any answer but 401 and 429.
 */
export async function wrongLogins(job: WrongLoginsJob): Promise<WrongLoginsResult> {
  const url = new URL(job.url);
  const run = randomUUID();
  const firstAddress = randomInt(2 ** 24);
  const connections: Connection[] = [];
  const idle: Connection[] = [];
  const over = new AbortController();
  setMaxListeners(0, over.signal);
  const answers = { 401: 0, 429: 0 };
  const open = async (): Promise<Connection> => {
    const connection = await Connection.open(url, 4096);
    connections.push(connection);
    return connection;
  };
  const guess = async (index: number): Promise<void> => {
    await sleep((index * 1000) / job.perSecond, undefined, { signal: over.signal });
    const connection = idle.shift() ?? (await open());
    const head = requestHead(url, "GET", job.path, {
      Authorization: basic(index % 2 === 0 ? job.known : `nobody-${run}-${index}`, `${run}-${index}`),
      "X-Forwarded-For": index % 4 < 2 ? oneAddress : address(firstAddress + index),
    });
    const { status } = await connection.exchange(head);
    if (status !== 401 && status !== 429) throw new Error(`a wrong login is answered ${status}`);
    answers[status]++;
    idle.push(connection);
  };
  try {
    await Promise.all(Array.from({ length: Math.round(job.perSecond * job.seconds) }, (_, index) => guess(index)));
  } finally {
    over.abort();
    for (const connection of connections) connection.close();
  }
  return { unauthorized: answers[401], tooMany: answers[429] };
}

function address(index: number): string {
  return `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;
}
