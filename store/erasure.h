#pragma once

// The end of what is left of deleted rows.
//
// secure_delete overwrites a row where it is, not where it was before. When SQLite splits a page or
// merges two, it lays out anew what stays, and a row that moved to a neighbour can remain beneath,
// in no tree, until something needs its space. So the tables whose rows are deleted when their time
// is over (participants with their names, rooms with their appointments, wrapped data keys, …) are
// written anew from time to time: SQLite does overwrite each page that it frees.

#include "store/database.h"

namespace bedside::store {

// In one transaction of its own (0.2 s with 20,000 rooms, the most there are): those tables are
// emptied and filled with the rows they had. After the next full checkpoint no page of the file has
// anything of a row deleted before; of one that is there it may have a piece twice. Store's thread,
// outside of a transaction. After an error
// nothing has changed, unless its kind says that the connection is done for.
tl::expected<void, SqlError> erase_remnants(Database& database);

}  // namespace bedside::store
