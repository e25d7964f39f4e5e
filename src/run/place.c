/*
 * place.c
 *	  Placement of shards on workers; the rules are in place.h.
 *
 * Every move goes to a worker that is better by the rule that caused it and no
 * worse by the earlier ones, so repeated calls come to rest.
 */
#include "run/place.h"

static void set_target(DpPlaceShard *shard, DpPlaceWorker *workers, int to);
static int	best_worker(const DpPlaceShard *shards, int n, const DpPlaceShard *shard,
						const DpPlaceWorker *workers, int m, int except);
static int	siblings_on(const DpPlaceShard *shards, int n, const DpPlaceShard *shard, int w);
static void spread_siblings(DpPlaceShard *shards, int n, DpPlaceWorker *workers, int m);
static void isolate_busy(DpPlaceShard *shards, int n, DpPlaceWorker *workers, int m);
static void relieve_saturated(DpPlaceShard *shards, int n, DpPlaceWorker *workers, int m);
static int	least_loaded(const DpPlaceWorker *workers, int m);
static void empty_smallest(DpPlaceShard *shards, int n, DpPlaceWorker *workers, int m);

void
dp_place_count(DpPlaceShard *shards, int n, DpPlaceWorker *workers, int m)
{
	for (int w = 0; w < m; w++)
		workers[w].nshards = workers[w].nbusy = workers[w].load = 0;
	for (int i = 0; i < n; i++)
	{
		if (shards[i].worker < 0)
			continue;
		workers[shards[i].worker].nshards++;
		workers[shards[i].worker].load += shards[i].load;
	}
	for (int i = 0; i < n; i++)
	{
		bool		saturated = shards[i].worker >= 0 &&
			workers[shards[i].worker].load > DP_SATURATED;

		shards[i].busy = shards[i].load > DP_BUSY ||
			(saturated && shards[i].load > DP_GOOD_PART);
		if (shards[i].worker >= 0)
			workers[shards[i].worker].nbusy += shards[i].busy;
	}
}

int
dp_place_needed(const DpPlaceShard *shards, int n)
{
	int			busy = 0;
	int			widest = 0;
	double		quiet_load = 0;

	for (int i = 0; i < n; i++)
	{
		int			siblings = 1;

		if (shards[i].busy)
			busy++;
		else
			quiet_load += shards[i].load;
		for (int k = 0; k < i; k++)
			siblings += shards[k].pipeline == shards[i].pipeline;
		widest = Max(widest, siblings);
	}
	if (busy < n)
		busy += 1 + (int) (quiet_load / DP_BUSY);
	busy = Max(busy, (n + DP_MANY_SHARDS - 1) / DP_MANY_SHARDS);
	return Min(Max(busy, widest), n);
}

void
dp_place(DpPlaceShard *shards, int n, DpPlaceWorker *workers, int m, bool shrink)
{
	for (int i = 0; i < n; i++)
		shards[i].target = shards[i].worker;
	if (m == 0)
		return;

	for (int i = 0; i < n; i++)
	{
		if (shards[i].worker < 0)
			set_target(&shards[i], workers,
					   best_worker(shards, n, &shards[i], workers, m, -1));
	}
	if (shrink && m > 1)
		empty_smallest(shards, n, workers, m);
	else
	{
		spread_siblings(shards, n, workers, m);
		isolate_busy(shards, n, workers, m);
		relieve_saturated(shards, n, workers, m);
	}
}

static void
set_target(DpPlaceShard *shard, DpPlaceWorker *workers, int to)
{
	if (shard->target >= 0)
	{
		workers[shard->target].nshards--;
		workers[shard->target].nbusy -= shard->busy;
		workers[shard->target].load -= shard->load;
	}
	shard->target = to;
	workers[to].nshards++;
	workers[to].nbusy += shard->busy;
	workers[to].load += shard->load;
}

static int
best_worker(const DpPlaceShard *shards, int n, const DpPlaceShard *shard,
			const DpPlaceWorker *workers, int m, int except)
{
	int			best = -1;
	double		best_cost = 0;

	for (int w = 0; w < m; w++)
	{
		double		cost;

		if (w == except)
			continue;
		/* The earlier rule outweighs whatever the later ones can add up to. */
		cost = 1e9 * siblings_on(shards, n, shard, w) + 1e6 * workers[w].nbusy +
			1e4 * (workers[w].load > 0.01 ? workers[w].load : 0) + workers[w].nshards;
		if (best < 0 || cost < best_cost)
		{
			best = w;
			best_cost = cost;
		}
	}
	return best;
}

/* Other shards of the same pipeline that worker W has. */
static int
siblings_on(const DpPlaceShard *shards, int n, const DpPlaceShard *shard, int w)
{
	int			count = 0;

	for (int i = 0; i < n; i++)
		count += &shards[i] != shard && shards[i].target == w &&
			shards[i].pipeline == shard->pipeline;
	return count;
}

static void
spread_siblings(DpPlaceShard *shards, int n, DpPlaceWorker *workers, int m)
{
	for (int i = 0; i < n; i++)
	{
		int			to;

		if (!shards[i].movable || siblings_on(shards, n, &shards[i], shards[i].target) == 0)
			continue;
		to = best_worker(shards, n, &shards[i], workers, m, shards[i].target);
		if (to >= 0 && siblings_on(shards, n, &shards[i], to) == 0 && workers[to].nbusy == 0)
			set_target(&shards[i], workers, to);
	}
}

/*
 * With a worker that has nothing, moving the busy shard there is one move;
 * else the others leave it, towards workers without busy shards.
 */
static void
isolate_busy(DpPlaceShard *shards, int n, DpPlaceWorker *workers, int m)
{
	for (int i = 0; i < n; i++)
	{
		int			from = shards[i].target;
		int			to;

		if (!shards[i].busy || workers[from].nshards < 2)
			continue;
		to = best_worker(shards, n, &shards[i], workers, m, from);
		if (to >= 0 && shards[i].movable && workers[to].nshards == 0)
		{
			set_target(&shards[i], workers, to);
			continue;
		}
		for (int k = 0; k < n; k++)
		{
			if (k == i || shards[k].target != from || !shards[k].movable)
				continue;
			to = best_worker(shards, n, &shards[k], workers, m, from);
			if (to >= 0 && workers[to].nbusy == 0 && siblings_on(shards, n, &shards[k], to) == 0)
				set_target(&shards[k], workers, to);
		}
	}
}

/* One shard of many small ones each time, the largest that makes matters better. */
static void
relieve_saturated(DpPlaceShard *shards, int n, DpPlaceWorker *workers, int m)
{
	int			to = least_loaded(workers, m);
	int			best = -1;

	for (int i = 0; i < n; i++)
	{
		double		gap = workers[shards[i].target].load - workers[to].load;

		if (shards[i].busy || !shards[i].movable || shards[i].target != shards[i].worker ||
			workers[shards[i].target].load <= DP_SATURATED ||
			workers[shards[i].target].nbusy > 0 ||
			workers[to].nbusy > 0 || gap < DP_GOOD_PART + shards[i].load ||
			siblings_on(shards, n, &shards[i], to) > 0)
			continue;
		if (best < 0 || shards[i].load > shards[best].load)
			best = i;
	}
	if (best >= 0)
		set_target(&shards[best], workers, to);
}

static int
least_loaded(const DpPlaceWorker *workers, int m)
{
	int			least = 0;

	for (int w = 1; w < m; w++)
		if (workers[w].load < workers[least].load)
			least = w;
	return least;
}

static void
empty_smallest(DpPlaceShard *shards, int n, DpPlaceWorker *workers, int m)
{
	int			victim = 0;

	for (int w = 1; w < m; w++)
		if (workers[w].nbusy < workers[victim].nbusy ||
			(workers[w].nbusy == workers[victim].nbusy &&
			 workers[w].nshards < workers[victim].nshards))
			victim = w;
	for (int i = 0; i < n; i++)
		if (shards[i].target == victim && shards[i].movable)
			set_target(&shards[i], workers,
					   best_worker(shards, n, &shards[i], workers, m, victim));
}
