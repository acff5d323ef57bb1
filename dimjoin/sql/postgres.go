package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// postgres is PostgreSQL. Keys come as arrays, so a statement is the same for any
// number of them.
type postgres struct{}

func (postgres) chunk() int { return 5000 }

func (postgres) open(dsn string) (*sql.DB, []string, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, nil, errors.New("the dsn cannot be read: write postgres://user:password@host:5432/database")
	}
	return stdlib.OpenDB(*config), []string{dsn, config.Password}, nil
}

func (postgres) isAnswer(err error) bool {
	var pg *pgconn.PgError
	return errors.Is(err, errNoTable) || errors.As(err, &pg) && !strings.HasPrefix(pg.Code, "08") && !strings.HasPrefix(pg.Code, "57P") && pg.Code != "53300"
}

func (postgres) quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func (p postgres) columns(ctx context.Context, db *sql.DB, table []string) ([]column, error) {
	rows, err := db.QueryContext(ctx, `SELECT a.attname, format_type(a.atttypid, a.atttypmod), t.typname, t.typcategory::text
		FROM pg_attribute a JOIN pg_type t ON t.oid = CASE WHEN (SELECT typbasetype FROM pg_type d WHERE d.oid = a.atttypid) <> 0 THEN (SELECT typbasetype FROM pg_type d WHERE d.oid = a.atttypid) ELSE a.atttypid END
		WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, quoted(p, table))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []column
	for rows.Next() {
		var c column
		var name, category string
		if err := rows.Scan(&c.name, &c.typ, &name, &category); err != nil {
			return nil, err
		}
		c.class, c.zoned = classOfPostgres(name, category), name == "timestamptz"
		out = append(out, c)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, errNoTable
	}
	return out, nil
}

func classOfPostgres(name, category string) class {
	switch name {
	case "int2", "int4", "int8":
		return integer
	case "float4", "float8", "numeric":
		return float
	case "bool":
		return boolean
	case "timestamp", "timestamptz", "date":
		return moment
	case "json", "jsonb":
		return document
	case "uuid":
		return uuid
	}
	switch category {
	case "S", "E": // strings and enumerations
		return text
	case "A":
		return array
	}
	return other
}

func (p postgres) keySelect(l *layout, _ int, history bool) string {
	var arrays, names []string
	for i := range l.keys {
		arrays, names = append(arrays, fmt.Sprintf("$%d::text[]::%s[]", i+1, castType(&l.keys[i]))), append(names, fmt.Sprint("k", i))
	}
	if history {
		typ := "bigint"
		if l.from.class == moment {
			typ = "timestamptz"
		}
		arrays, names = append(arrays, fmt.Sprintf("$%d::text[]::%s[]", len(l.keys)+1, typ)), append(names, "at")
	}
	return "unnest(" + strings.Join(arrays, ", ") + ") WITH ORDINALITY AS l(" + strings.Join(names, ", ") + ", n)"
}

func (postgres) equal(_ *column, of, part string) string { return of + " = " + part }

// castType is the type that a text is cast to, without its size, which would cut.
func castType(c *column) string {
	switch c.class {
	case text:
		if strings.HasPrefix(c.typ, "character varying") || strings.HasPrefix(c.typ, "character(") || c.typ == "character" {
			return "text"
		}
	case integer:
		return "bigint"
	}
	return c.typ
}

func (p postgres) args(l *layout, keys []key, _ int, history bool) []any {
	var out []any
	for i := range l.keys {
		list := make([]string, len(keys))
		for n := range keys {
			list[n] = keys[n].parts[i]
		}
		out = append(out, list)
	}
	if history {
		list := make([]string, len(keys))
		for n := range keys {
			list[n] = timeText(&l.from, keys[n].at, "+00")
		}
		out = append(out, list)
	}
	return out
}

func (p postgres) read(c *column, of string) string {
	of += "." + p.quote(c.name)
	switch c.class {
	case integer:
		return of + "::bigint"
	case float:
		return of + "::float8"
	case boolean:
		return of
	case moment:
		return "CASE WHEN isfinite(" + of + ") THEN floor(extract(epoch FROM " + of + ") * 1000)::bigint END"
	case array:
		return "array_to_json(" + of + ")::text"
	}
	return of + "::text"
}

func (postgres) placeholder(n int) string { return fmt.Sprint("$", n) }

func (p postgres) put(c *column, placeholder string) string {
	as := placeholder + "::text"
	switch c.class {
	case moment:
		at := "(timestamptz 'epoch' + " + as + "::bigint * interval '1 millisecond')"
		if !c.zoned {
			at = "(" + at + " AT TIME ZONE 'UTC')"
		}
		return at + "::" + c.typ
	case array:
		return "CASE WHEN " + as + " IS NOT NULL THEN ARRAY(SELECT json_array_elements_text(" + as + "::json))::" + c.typ + " END"
	}
	return as + "::" + c.typ
}

func (p postgres) upsert(unique, rest []string) string {
	sets := make([]string, len(rest))
	for i, name := range rest {
		sets[i] = name + " = EXCLUDED." + name
	}
	return " ON CONFLICT (" + strings.Join(unique, ", ") + ") DO UPDATE SET " + strings.Join(sets, ", ")
}

func (p postgres) uniques(ctx context.Context, db *sql.DB, table []string) ([][]string, error) {
	return readLists(db.QueryContext(ctx, `SELECT i.indexrelid::text, a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
		WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL ORDER BY 1`, quoted(p, table)))
}

func (p postgres) tableComment(ctx context.Context, db *sql.DB, table []string) (string, error) {
	var comment sql.NullString
	err := db.QueryRowContext(ctx, `SELECT obj_description(to_regclass($1), 'pg_class')`, quoted(p, table)).Scan(&comment)
	return comment.String, err
}

func (postgres) createLike(like, table, comment string) []string {
	return []string{"CREATE TABLE " + table + " (LIKE " + like + " INCLUDING ALL)", "COMMENT ON TABLE " + table + " IS '" + strings.ReplaceAll(comment, "'", "''") + "'"}
}

func (postgres) rename(pairs [][2]string) (out []string) {
	for _, p := range pairs {
		out = append(out, "ALTER TABLE "+p[0]+" RENAME TO "+p[1][strings.LastIndex(p[1], `."`)+1:])
	}
	return out
}
