from django.db import migrations, models

# As in 0001, for workers, the sweeper and everybody who waits: ids and seconds only, of every workspace. Workspaces take
# turns: the first of the queued runs of a workspace that has k running stands with the (k + 1)-th of the others.
# Position 0: running. A run is expected to take its operations at the median speed of the runs that ended last.
QUEUE = """
CREATE FUNCTION runs_in_queue()
RETURNS TABLE (workspace_id uuid, run_id uuid, "position" bigint, seconds double precision)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    speed double precision;
BEGIN
    PERFORM set_config('app.sweeping', 'on', true);
    SELECT percentile_cont(0.5) WITHIN GROUP (
        ORDER BY last.flops / extract(epoch FROM last.finished_at - last.started_at)
    ) INTO speed FROM (
        SELECT r.flops, r.started_at, r.finished_at FROM public.runs_run r
        WHERE r.state = 'succeeded' AND r.flops > 0 AND r.finished_at > r.started_at
        ORDER BY r.finished_at DESC LIMIT 50
    ) last;
    RETURN QUERY
        WITH busy AS (
            SELECT r.workspace_id AS place, count(*) AS runs FROM public.runs_run r
            WHERE r.state = 'running' GROUP BY r.workspace_id
        ), waiting AS (
            SELECT r.*, coalesce(busy.runs, 0)
                + row_number() OVER (PARTITION BY r.workspace_id ORDER BY r.created_at, r.id) AS turn
            FROM public.runs_run r LEFT JOIN busy ON busy.place = r.workspace_id WHERE r.state = 'queued'
        )
        SELECT w.workspace_id, w.id, row_number() OVER (ORDER BY w.turn, w.created_at, w.id),
            w.flops * (1 - w.progress) / speed FROM waiting w
        UNION ALL
        SELECT r.workspace_id, r.id, 0, r.eta_s FROM public.runs_run r WHERE r.state = 'running';
    PERFORM set_config('app.sweeping', '', true);
END
$$
"""


class Migration(migrations.Migration):

    dependencies = [('projects', '0001_initial'), ('runs', '0003_hand_over')]

    operations = [
        migrations.AddIndex(
            model_name='run',
            index=models.Index(condition=models.Q(('state', 'succeeded')), fields=['-finished_at'], name='runs_run_ended'),
        ),
        migrations.RunSQL(QUEUE, 'DROP FUNCTION runs_in_queue()'),
        migrations.RunSQL('REVOKE EXECUTE ON FUNCTION runs_in_queue() FROM PUBLIC', migrations.RunSQL.noop),
    ]
