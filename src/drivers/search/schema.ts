import { EntitySchema, EntitySchemaOptions, type MigrationInterface, type QueryRunner } from "typeorm";

/** A repository in the index. The folded columns are what searches compare with. */
export interface RepositoryRow {
  readonly name: string;
  readonly description: string;
  readonly foldedName: string;
  /** What follows the last slash of the folded name. */
  readonly foldedLast: string;
  readonly foldedDescription: string;
  /** The number of the fill that added it, or 0 when an event did: what events said is never changed by a fill. */
  readonly fill: number;
  /** Deleted by an event while a fill ran: kept to the end of that fill, so that the fill can't bring it back. */
  readonly deleted: boolean;
}

/** The one row that says whether the index has been filled and who is filling it. */
export interface FillRow {
  readonly id: number;
  /** Counts the attempts. */
  readonly number: number;
  readonly filled: boolean;
  /** The token of the running fill, or empty. */
  readonly owner: string;
  /** When the owner is taken for dead, in milliseconds since 1970 by the clock of the database. */
  readonly expires: string;
}

export const repositorySchema = new EntitySchema<RepositoryRow>(
  Object.assign(new EntitySchemaOptions<RepositoryRow>(), {
    name: "registryctl_search_repository",
    tableName: "registryctl_search_repository",
    columns: {
      name: { type: "text", primary: true },
      description: { type: "text" },
      foldedName: { type: "text", name: "folded_name" },
      foldedLast: { type: "text", name: "folded_last" },
      foldedDescription: { type: "text", name: "folded_description" },
      fill: { type: "integer" },
      deleted: { type: "boolean" },
    },
  }),
);

export const fillSchema = new EntitySchema<FillRow>(
  Object.assign(new EntitySchemaOptions<FillRow>(), {
    name: "registryctl_search_fill",
    tableName: "registryctl_search_fill",
    columns: {
      id: { type: "integer", primary: true },
      number: { type: "integer" },
      filled: { type: "boolean" },
      owner: { type: "text" },
      expires: { type: "bigint" },
    },
  }),
);

/** The tables `repository` and `version` that a Python registry made in the same database are left alone. */
export class CreateSearchIndex1767225600000 implements MigrationInterface {
  readonly name = "CreateSearchIndex1767225600000";

  async up(runner: QueryRunner): Promise<void> {
    // Byte order everywhere: the order of a linguistic collation changes with the operating system, and breaks indexes.
    const collation = runner.dataSource.options.type === "postgres" ? `COLLATE "C"` : "";
    await runner.query(`
      CREATE TABLE registryctl_search_repository (
        name text ${collation} PRIMARY KEY NOT NULL,
        description text NOT NULL,
        folded_name text ${collation} NOT NULL,
        folded_last text ${collation} NOT NULL,
        folded_description text ${collation} NOT NULL,
        fill integer NOT NULL,
        deleted boolean NOT NULL
      )`);
    await runner.query(`
      CREATE TABLE registryctl_search_fill (
        id integer PRIMARY KEY NOT NULL,
        number integer NOT NULL,
        filled boolean NOT NULL,
        owner text NOT NULL,
        expires bigint NOT NULL
      )`);
    await runner.query("INSERT INTO registryctl_search_fill VALUES (1, 0, FALSE, '', 0)");
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query("DROP TABLE registryctl_search_fill");
    await runner.query("DROP TABLE registryctl_search_repository");
  }
}
