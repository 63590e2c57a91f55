import { bugsnagReporter } from "./bugsnag.ts";
import { mailReporter, type MailOptions } from "./mail.ts";
import type { ReporterContext } from "./queued.ts";
import type { Reporter } from "./reporter.ts";

/** The options of the configuration that say whom to tell of faults. */
export interface ReportOptions {
  readonly email_exceptions?: MailOptions | undefined;
  /** An API key. */
  readonly bugsnag?: string | undefined;
  readonly bugsnag_endpoint?: string | URL | undefined;
}

/** One reporter that tells all that are configured, each at its own pace; nobody when none is. Connects to nothing yet. */
export function openReporters(options: ReportOptions, context: ReporterContext): Reporter {
  const reporters: Reporter[] = [];
  if (options.email_exceptions) reporters.push(mailReporter(options.email_exceptions, context));
  if (options.bugsnag) {
    const endpoint = options.bugsnag_endpoint ?? "https://notify.bugsnag.com";
    reporters.push(bugsnagReporter({ apiKey: options.bugsnag, endpoint }, context));
  }
  return {
    name: reporters.map((reporter) => reporter.name).join(", ") || "nobody",
    report: (fault) => {
      for (const reporter of reporters) reporter.report(fault);
    },
    close: async () => {
      await Promise.all(reporters.map((reporter) => reporter.close()));
    },
  };
}
