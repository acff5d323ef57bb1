package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"
)

// mysql is MySQL and MariaDB. A statement is prepared for a power of two of keys.
type mysql struct{}

func (mysql) chunk() int { return 512 }

func (mysql) open(dsn string) (*sql.DB, []string, error) {
	config, err := driver.ParseDSN(dsn)
	if err != nil {
		return nil, nil, errors.New("the dsn cannot be read: write user:password@tcp(host:3306)/database")
	}
	if config.Params == nil {
		config.Params = map[string]string{}
	}
	config.Params["time_zone"] = "'+00:00'" // TIMESTAMP columns are then in UTC
	config.ParseTime, config.Loc, config.InterpolateParams = false, time.UTC, false
	config.Logger = driver.Logger(silent{})
	connector, err := driver.NewConnector(config)
	if err != nil {
		return nil, nil, errors.New("the dsn cannot be used: write user:password@tcp(host:3306)/database")
	}
	return sql.OpenDB(connector), []string{dsn, config.Passwd}, nil
}

// silent drops what the driver prints: errors are returned.
type silent struct{}

func (silent) Print(...any) {}

func (mysql) isAnswer(err error) bool {
	const tooManyConnections, shutdown = 1040, 1053
	var my *driver.MySQLError
	return errors.Is(err, errNoTable) || errors.As(err, &my) && my.Number != tooManyConnections && my.Number != shutdown
}

func (mysql) quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// where is the condition of information_schema for a table, with its arguments.
func (mysql) where(table []string) (string, []any) {
	if len(table) == 2 {
		return "table_schema = ? AND table_name = ?", []any{table[0], table[1]}
	}
	return "table_schema = DATABASE() AND table_name = ?", []any{table[0]}
}

func (m mysql) columns(ctx context.Context, db *sql.DB, table []string) ([]column, error) {
	where, args := m.where(table)
	rows, err := db.QueryContext(ctx, `SELECT column_name, column_type, data_type, COALESCE(character_set_name, ''), COALESCE(collation_name, '')
		FROM information_schema.columns WHERE `+where+` ORDER BY ordinal_position`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []column
	for rows.Next() {
		var c column
		var data string
		if err := rows.Scan(&c.name, &c.typ, &data, &c.charset, &c.collation); err != nil {
			return nil, err
		}
		c.class = classOfMySQL(strings.ToLower(data))
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

func classOfMySQL(data string) class {
	switch data {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "year":
		return integer
	case "float", "double", "decimal":
		return float
	case "date", "datetime", "timestamp":
		return moment
	case "json":
		return document
	case "uuid":
		return uuid
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return text
	}
	return other
}

// keySelect spells the keys out, in the collation of their columns, which the
// comparison is to have.
func (m mysql) keySelect(l *layout, n int, history bool) string {
	one := make([]string, 0, len(l.keys)+2)
	for i := range l.keys {
		c, p := &l.keys[i], "?"
		switch {
		case c.class == integer:
			p = "CAST(? AS SIGNED)"
		case c.collation != "":
			p = fmt.Sprintf("CONVERT(? USING %s) COLLATE %s", c.charset, c.collation)
		}
		one = append(one, fmt.Sprintf("%s AS k%d", p, i))
	}
	if history {
		p := "CAST(? AS SIGNED)"
		if l.from.class == moment {
			p = "CAST(? AS DATETIME(6))"
		}
		one = append(one, p+" AS at")
	}
	one = append(one, "CAST(? AS SIGNED) AS n")
	line := "SELECT " + strings.Join(one, ", ")
	return "(" + line + strings.Repeat(" UNION ALL "+line, n-1) + ") AS l"
}

// equal finds the row by the column's collation, as its index does, to which case
// and trailing spaces may be the same, and then looks at the letters.
func (mysql) equal(c *column, of, part string) string {
	out := of + " = " + part
	if c.collation != "" {
		out += " AND CAST(" + of + " AS BINARY) = CAST(" + part + " AS BINARY)"
	}
	return out
}

func (m mysql) args(l *layout, keys []key, n int, history bool) []any {
	out := make([]any, 0, n*(len(l.keys)+2))
	for i := range n {
		k, number := &keys[min(i, len(keys)-1)], i+1
		if i >= len(keys) {
			number = 0 // fills the statement up
		}
		for _, p := range k.parts {
			out = append(out, p)
		}
		if history {
			out = append(out, timeText(&l.from, k.at, ""))
		}
		out = append(out, number)
	}
	return out
}

func (m mysql) read(c *column, of string) string {
	of += "." + m.quote(c.name)
	switch {
	case c.class == float:
		return of + " + 0e0"
	case c.class == moment:
		return "CAST(FLOOR(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', " + of + ") / 1000) AS SIGNED)"
	}
	return of
}

func (mysql) placeholder(int) string { return "?" }

func (m mysql) put(c *column, placeholder string) string {
	switch {
	case c.class == moment:
		return "TIMESTAMPADD(MICROSECOND, CAST(" + placeholder + " AS SIGNED) * 1000, '1970-01-01')"
	case c.typ == "tinyint(1)":
		return "CASE " + placeholder + " WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"
	}
	return placeholder
}

func (m mysql) upsert(_, rest []string) string {
	sets := make([]string, len(rest))
	for i, name := range rest {
		sets[i] = name + " = VALUES(" + name + ")"
	}
	return " ON DUPLICATE KEY UPDATE " + strings.Join(sets, ", ")
}

func (m mysql) uniques(ctx context.Context, db *sql.DB, table []string) ([][]string, error) {
	where, args := m.where(table)
	return readLists(db.QueryContext(ctx, `SELECT index_name, column_name FROM information_schema.statistics WHERE `+where+` AND non_unique = 0 AND sub_part IS NULL ORDER BY 1`, args...))
}

func (m mysql) tableComment(ctx context.Context, db *sql.DB, table []string) (string, error) {
	where, args := m.where(table)
	var comment string
	err := db.QueryRowContext(ctx, `SELECT table_comment FROM information_schema.tables WHERE `+where, args...).Scan(&comment)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return comment, err
}

func (mysql) createLike(like, table, comment string) []string {
	return []string{"CREATE TABLE " + table + " LIKE " + like, "ALTER TABLE " + table + " COMMENT = '" + strings.ReplaceAll(comment, "'", "''") + "'"}
}

func (mysql) rename(pairs [][2]string) []string {
	var all []string
	for _, p := range pairs {
		all = append(all, p[0]+" TO "+p[1])
	}
	return []string{"RENAME TABLE " + strings.Join(all, ", ")} // all at once
}
