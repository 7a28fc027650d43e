#!/bin/bash
# Films on a Slurm cluster with a file system that all machines share; no Ray. Sixteen jobs make a sixteenth each:
#
#   sbatch --array=0-15 examples/cluster/slurm_array.sh films.csv /shared/films
#
# When they have ended, this writes the table and the page of all films:
#
#   splatmem batch films.csv --out /shared/films --dry-run
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=08:00:00
#SBATCH --requeue
set -u
# Status 1 says that some films failed: they are lines of the table, and no reason to make the job again.
splatmem batch "$1" --out "$2" --threads 1 --array "$SLURM_ARRAY_TASK_ID/$((SLURM_ARRAY_TASK_MAX + 1))" || [ $? -eq 1 ]
