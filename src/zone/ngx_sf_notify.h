
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_NOTIFY_H_INCLUDED_
#define _NGX_SF_NOTIFY_H_INCLUDED_


/*
 * How a trigger tells a change, by the text
 *
 *     table [key=value,value,... | key=*] ...
 *
 * where * means that the values are too many to be told.  The name of the
 * channel is a secret that stands in a table of the database; triggers that
 * were made before there was one tell on the open channel, which everybody may
 * speak on.  The stamp is how the text of a function begins that tells on the
 * secret one.
 */

#define NGX_SF_TABLE_SECRET    "softfactory.channel"
#define NGX_SF_TABLE_CHANNEL   "softfactory"
#define NGX_SF_TABLE_STAMP     "softfactory channel"
#define NGX_SF_TABLE_TRIGGERS  "triggers"  /* triggers came or went */
#define NGX_SF_TABLE_SCHEMA    "schema"    /* a migration has been */


#endif /* _NGX_SF_NOTIFY_H_INCLUDED_ */
