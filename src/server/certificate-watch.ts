import { stat } from "node:fs/promises";

/** The paths of two PEM files that belong together, and of one with authorities that certificates of clients may be from. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
  readonly clientAuthorities?: string | undefined;
}

/** How often the files are looked at, in milliseconds. */
const interval = 1_000;

/**
 * Watches the files of a certificate that is in use, from now on: `renew` is called when one of them is another than
 * before, `failed` when that rejects, once for each change; the old certificate stays in use then. Answers what ends the
 * watch. By looking, since files of secrets are replaced by links that change, which notifications miss.
 */
export function watchCertificate(
  files: CertificateFiles,
  renew: () => Promise<void>,
  failed: (error: unknown) => void,
): () => void {
  let known = signature(files);
  let looking = false;
  const look = async (): Promise<void> => {
    const now = await signature(files);
    if (now === (await known)) return;
    known = Promise.resolve(now);
    await renew();
  };
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    look()
      .catch(failed)
      .finally(() => {
        looking = false;
      });
  }, interval);
  timer.unref();
  return () => {
    clearInterval(timer);
  };
}

/** What is another when a file is; a file that is missing is another, too. */
async function signature({ certificate, key, clientAuthorities }: CertificateFiles): Promise<string> {
  const of = async (path: string): Promise<string> => {
    const found = await stat(path, { bigint: true }).catch(() => undefined);
    return found ? `${found.dev}:${found.ino}:${found.size}:${found.mtimeNs}` : "missing";
  };
  const paths = [certificate, key, ...(clientAuthorities === undefined ? [] : [clientAuthorities])];
  return (await Promise.all(paths.map(of))).join(" ");
}
